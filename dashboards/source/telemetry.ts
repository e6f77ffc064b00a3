/** Can what the other dashboards say be believed? */
import { dashboard, row } from './grafana/dashboard.js';
import { instance, logs, open, rules } from './grafana/links.js';
import { ask, max, of, orZero, quantile, rate, ratio, sum } from './grafana/query.js';
import { timeline } from './grafana/timeline.js';
import { timeseries } from './grafana/timeseries.js';
import { unit } from './grafana/units.js';

/** What went wrong with spans or log records, by why; zero where nothing did. */
const lost = (metric: string, what: string) => [
    ask(sum(rate(metric, 'error_type!=""'), 'error_type'), `${what}: {{error_type}}`),
    ask(orZero(sum(rate(metric, 'error_type!=""')), sum(rate(metric))), `${what}: all`),
];
/** Prometheus' own metric, which has its own job. */
const ofRules = (metric: string) => `sum by (rule_group) (rate(${metric}[$__rate_interval]))`;

const filled = (signal: 'span' | 'log') =>
    ask(
        ratio(
            sum(of(`otel_sdk_processor_${signal}_queue_size`), 'instance'),
            sum(of(`otel_sdk_processor_${signal}_queue_capacity`), 'instance'),
        ),
        `{{instance}} ${signal}s`,
    );

export const telemetry = dashboard(
    'telemetry',
    'What is exported, dropped and queued; how many series there are; whether those who watch are watched.',

    row(
        'Is anything lost?',
        8,
        timeseries({
            id: 10,
            title: 'Spans and logs lost',
            width: 8,
            unit: unit.perSecond,
            description: `
                Spans, log records and data points of metrics that did not leave, by why. Queue full: the collector is slow or there is too
                much; failed exports: it is gone. No request is slower for it, but traces are missing.`,
            ask: [
                ...lost('otel_sdk_processor_span_processed_total', 'spans queued'),
                ...lost('otel_sdk_exporter_span_exported_total', 'spans exported'),
                ...lost('otel_sdk_processor_log_processed_total', 'logs queued'),
                ...lost('otel_sdk_exporter_log_exported_total', 'logs exported'),
                ...lost('otel_sdk_exporter_metric_data_point_exported_total', 'metrics exported'),
            ],
            alerts: ['TelemetryDropped'],
            see: [logs('glasshouse_otel_signal!=""')],
        }),
        timeseries({
            id: 11,
            title: 'Log lines',
            width: 8,
            unit: unit.perSecond,
            description: `
                Lines by level, and those for which the writer had no room: whoever reads stdout is too slow, or
                somebody left the filter at debug.`,
            ask: [
                ask(sum(rate('glasshouse_log_lines_total'), 'level'), '{{level}}'),
                ask(sum(rate('glasshouse_log_lines_dropped_total')), 'dropped'),
            ],
            alerts: ['LogLinesDropped'],
            see: [logs('detected_level="error"')],
        }),
        timeseries({
            id: 12,
            title: 'Series',
            width: 8,
            unit: unit.count,
            description: `
                Series by family, and observations a second that were folded into _overflow because a family is full.
                Folding means that a label has values nobody foresaw: find it in /metrics.`,
            ask: [
                ask(`topk(10, ${sum(of('glasshouse_metric_series'), 'family')})`, '{{family}}'),
                ask(sum(rate('glasshouse_metric_series_overflow_total')), 'folded, a second'),
            ],
            alerts: ['SeriesOverflow'],
            see: [open('overview')],
        }),
    ),

    row(
        'Does it leave the process?',
        8,
        timeseries({
            id: 30,
            title: 'Exported',
            width: 12,
            unit: unit.perSecond,
            description: `
                Spans and log records that the collector took. Zero where none are exported by setting; zero beside a
                growing queue, the collector hangs.`,
            ask: [
                ask(sum(rate('otel_sdk_processor_span_processed_total')), 'spans ended'),
                ask(sum(rate('otel_sdk_exporter_span_exported_total', 'error_type=""')), 'spans exported'),
                ask(sum(rate('otel_sdk_processor_log_processed_total')), 'logs made'),
                ask(sum(rate('otel_sdk_exporter_log_exported_total', 'error_type=""')), 'logs exported'),
            ],
            see: [logs('glasshouse_otel_signal!=""')],
        }),
        timeseries({
            id: 31,
            title: 'Queues',
            width: 12,
            unit: unit.share,
            description: 'How full the queues before the exporters are. At 1 what comes next is dropped.',
            ask: [filled('span'), filled('log')],
            max: 1,
            alerts: ['TelemetryDropped'],
            see: [logs('glasshouse_otel_signal!=""')],
        }),
    ),

    row(
        'Who watches the watchers?',
        8,
        timeseries({
            id: 13,
            title: 'Rules',
            width: 8,
            unit: unit.perSecond,
            description: `
                Evaluations that failed, and those that came too late, by group. What is not evaluated cannot fire.
                The page of rules in Prometheus says why.`,
            ask: [
                ask(ofRules('prometheus_rule_evaluation_failures_total'), 'failed: {{rule_group}}'),
                ask(ofRules('prometheus_rule_group_iterations_missed_total'), 'missed: {{rule_group}}'),
            ],
            alerts: ['RuleFailures'],
            see: [rules],
        }),
        timeline({
            id: 14,
            title: 'Watchdog',
            width: 8,
            unit: unit.onOff,
            description: `
                An alert that always fires, so that its silence can be heard. A gap: Prometheus did not evaluate
                rules, and nothing would have paged.`,
            states: { 0: ['silent', 'red'], 1: ['fires', 'green'] },
            ask: [ask('max(ALERTS{alertname="Watchdog", alertstate="firing"})', 'Watchdog')],
            alerts: ['Watchdog'],
            see: [rules],
        }),
        timeseries({
            id: 32,
            title: 'Scrapes as Prometheus sees them',
            width: 8,
            unit: unit.seconds,
            description:
                'How long a scrape of each instance took, on the way and all. Near the timeout, targets will flap.',
            ask: [ask(max(of('scrape_duration_seconds'), 'instance'), '{{instance}}')],
            see: [instance('What is scraped', '/metrics'), open('overview')],
        }),
        timeseries({
            id: 33,
            title: 'Answering a scrape',
            width: 12,
            unit: unit.seconds,
            description: `
                How long the service took to write its metrics. It runs on a thread of its own: slow means many
                series.`,
            ask: [
                ask(quantile(0.99, 'glasshouse_scrape_duration_seconds', 'instance'), '{{instance}} p99'),
                ask(quantile(0.5, 'glasshouse_scrape_duration_seconds', 'instance'), '{{instance}} p50'),
            ],
            see: [instance('What is scraped', '/metrics')],
        }),
        timeseries({
            id: 34,
            title: 'Size of a scrape',
            width: 12,
            unit: unit.bytes,
            description: `
                The newest answer, before compression. Growth without end is a label with endless values: see Series.`,
            ask: [ask(max(of('glasshouse_scrape_size_bytes'), 'instance'), '{{instance}}')],
            see: [instance('What is scraped', '/metrics')],
        }),
    ),

    row(
        'Is somebody looking inside?',
        8,
        timeseries({
            id: 35,
            title: 'Tools in use',
            width: 12,
            unit: unit.count,
            description: `
                tokio-console, followers of live requests, heap sampling, and a log filter that is not the configured
                one. Each costs something: if it is slow and one of them is on, that may be why.`,
            ask: [
                ask(sum(of('glasshouse_console_on')), 'tokio-console'),
                ask(sum(of('glasshouse_followers')), 'followers'),
                ask(sum(of('glasshouse_heap_sampling')), 'heap sampling'),
                ask(sum(of('glasshouse_log_filter_changed')), 'another log filter'),
                ask(sum(of('glasshouse_internal_connections')), 'connections to the internal port'),
            ],
            see: [open('runtime')],
        }),
        timeseries({
            id: 36,
            title: 'What the tools left out',
            width: 12,
            unit: unit.perSecond,
            description: `
                What tokio-console and followers were not told because there was too much of it, and when the console
                was switched off for that. What you see there is not all there is.`,
            ask: [
                ask(sum(rate('glasshouse_console_left_out_total'), 'kind'), 'console: {{kind}}'),
                ask(sum(rate('glasshouse_console_switched_off_total'), 'reason'), 'console off: {{reason}}'),
                ask(sum(rate('glasshouse_follow_dropped_total')), 'followers: events'),
                ask(sum(rate('glasshouse_internal_connection_failures_total'), 'reason'), 'internal port: {{reason}}'),
            ],
            see: [open('runtime')],
        }),
    ),
);
