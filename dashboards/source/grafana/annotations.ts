/** What happened besides: drawn across every panel. */
import { ask, chosen, max, of, ours, source, sum, targets } from './query.js';
import type { Annotation } from './shape.js';

const event = (name: string, iconColor: string, expr: string, titleFormat: string, tagKeys: string): Annotation => ({
    name,
    iconColor,
    enable: true,
    datasource: source,
    // A minute is enough to see it by, and as much as a day of it costs.
    target: { ...targets([ask(expr, '')], 'time_series')[0]!, refId: 'Anno', interval: '1m' },
    titleFormat,
    tagKeys,
});

const builds = sum(of('glasshouse_build_info'), 'version, revision');
const before = sum(`${of('glasshouse_build_info')} offset 2m`, 'version, revision');

export const annotations: Annotation[] = [
    event('Deploys', 'blue', `${builds} unless ${before}`, 'Deployed {{version}} ({{revision}})', 'version'),
    event(
        'Starts',
        'purple',
        `${max(ours(`changes(${of('process_start_time_seconds')}[2m])`), 'instance')} > 0`,
        'Started: {{instance}}',
        'instance',
    ),
    event(
        'Alerts',
        'red',
        `ALERTS{${chosen}, alertstate="firing", severity=~"page|ticket"}`,
        '{{alertname}}',
        'severity',
    ),
    event(
        'Injected faults',
        'orange',
        `${max(of('glasshouse_faults_on'), 'fault')} > 0`,
        'Injected: {{fault}}',
        'fault',
    ),
];
