/** Ways out of a panel: to the runbook, logs, traces, the instance itself, the other dashboards. */
import type { DashboardLink } from '@grafana/schema';
import type { Alert } from './alerts.js';
import type { DataLink } from './shape.js';

/** Labels, service names and uids begin with it. */
export const SERVICE = 'glasshouse';
const RUNBOOK = 'http://localhost:8081/runbook';
const PROMETHEUS = 'http://localhost:9090';

/** Every dashboard by the end of its uid, in the order in which they are read. */
export const names = {
    overview: 'Overview',
    http: 'HTTP',
    database: 'Database',
    runtime: 'Runtime',
    telemetry: 'Telemetry',
    load: 'Load',
};
export type Name = keyof typeof names;
export const uid = (name: Name) => `${SERVICE}-${name}`;

const link = (title: string, url: string, tooltip: string, keep: boolean): DashboardLink => ({
    type: 'link',
    title,
    url,
    tooltip,
    icon: keep ? 'dashboard' : 'doc',
    tags: [],
    asDropdown: false,
    includeVars: keep,
    keepTime: keep,
    targetBlank: !keep,
});

/** The other dashboards, with the same job, environment, instances and time. */
export const others = (here: Name): DashboardLink[] =>
    (Object.keys(names) as Name[])
        .filter((name) => name !== here)
        .map((name) => link(names[name], `/d/${uid(name)}`, `${names[name]}, with the same instances and time`, true));

export const runbook = (alert: Alert): DashboardLink =>
    link(`Runbook: ${alert}`, `${RUNBOOK}/${alert}.md`, `What to do when ${alert} fires`, false);

/** Grafana's Explore with a query in it. What Grafana fills in must not be encoded. */
const explore = (uid: 'loki' | 'tempo', query: object) => {
    const pane = {
        datasource: uid,
        queries: [{ refId: 'A', datasource: { type: uid, uid }, ...query }],
        range: { from: '${__from}', to: '${__to}' },
    };
    const panes = encodeURIComponent(JSON.stringify({ a: pane })).replace(/%24%7B(.*?)%7D/g, (name) =>
        decodeURIComponent(name),
    );
    return `/explore?schemaVersion=1&panes=${panes}`;
};

/** The value of a label of the point that was clicked, as a part of an address. */
export const label = (name: string) => `\${__field.labels.${name}:percentencode}`;

/** Log lines that match a LogQL pipeline, all without one. */
export const logs = (pipeline = ''): DataLink => ({
    title: 'Logs',
    url: explore('loki', { queryType: 'range', expr: `{service_name="${SERVICE}"}${pipeline && ` | ${pipeline}`}` }),
    targetBlank: true,
});

/** Traces that have a span which matches this condition of TraceQL. */
export const traces = (condition = ''): DataLink => ({
    title: 'Traces',
    url: explore('tempo', {
        queryType: 'traceql',
        query: `{resource.service.name="${SERVICE}"${condition && ` && ${condition}`}}`,
    }),
    targetBlank: true,
});

/** A path of the internal port of the instance that was clicked. */
export const instance = (title: string, path: string): DataLink => ({
    title,
    url: `http://\${__field.labels.instance}${path}`,
    targetBlank: true,
});

/** Another dashboard, with the same job, environment, instances and time. */
export const open = (name: Name): DataLink => ({
    title: `Dashboard: ${names[name]}`,
    url: `/d/${uid(name)}?\${__url_time_range}&\${__all_variables}`,
    targetBlank: false,
});

export const rules: DataLink = { title: 'Rules in Prometheus', url: `${PROMETHEUS}/rules`, targetBlank: true };

export const profile = instance('CPU flamegraph, taken now', '/debug/flamegraph?of=cpu');
export const heap = instance('Heap flamegraph', '/debug/flamegraph?of=heap');
export const tasks = instance('What each task waits for', '/debug/pprof/goroutine?debug=1');
export const stalls = instance('What is stuck', '/debug/stalls');
