/** Is anybody hurt, how badly, and which part is it? Read from the top left. */
import { alertlist } from './grafana/alertlist.js';
import { dashboard, row } from './grafana/dashboard.js';
import { instance, logs, open, traces } from './grafana/links.js';
import { milliseconds, objectives, percent } from './grafana/objectives.js';
import { ask, max, min, of, quantile, rate, ratio, recorded, share, sum } from './grafana/query.js';
import { falling, rising, stat } from './grafana/stat.js';
import { table } from './grafana/table.js';
import { timeline } from './grafana/timeline.js';
import { timeseries } from './grafana/timeseries.js';
import { unit } from './grafana/units.js';
import { failed, memoryUsed, OBJECTIVE, poolUsed, requests, schedulingDelay, tooLong } from './measures.js';

const { availability, latency, window } = objectives;
const bound = latency.threshold_seconds;

const failedLogs = logs('http_response_status_code=~"5.."');
const failedTraces = traces('status=error');
const slowTraces = traces(tooLong);

const startedBuild = [
    `1000 * ${of('process_start_time_seconds')}`,
    `on (job, environment, instance) group_left (version, revision, rustc) ${of('glasshouse_build_info')}`,
].join(' * ');

const allowed = (slo: string) => `(1 - ${recorded('job:slo_objective:ratio', `slo="${slo}"`)})`;

/** How many times faster than allowed the budget is spent, over windows of the alerts. */
const burn = (slo: 'availability' | 'latency') =>
    ['5m', '1h', '6h', '3d'].map((over) =>
        ask(ratio(recorded(`job:slo_errors:ratio_rate${over}`, `slo="${slo}"`), allowed(slo)), `over ${over}`),
    );

export const overview = dashboard(
    'overview',
    'Whether users get what was promised to them, how fast the error budget is spent, and which part to look at next.',

    row(
        'Is anybody hurt?',
        7,
        alertlist({
            id: 30,
            title: 'Firing alerts',
            width: 8,
            description: `
                What fires now, worst first. Begin with what pages: its runbook page says what to do. Nothing here,
                and still complaints? Then read on to the right.`,
        }),
        stat({
            id: 12,
            title: 'Error budget left',
            width: 8,
            unit: unit.share,
            description: `
                How much of what may fail within ${window} is left: ${percent(availability.objective)} of requests
                succeed, ${percent(latency.objective)} within ${milliseconds(bound)}. At nothing, stop releasing and
                mend what spends it.`,
            levels: falling(0.25, 0),
            ask: [ask(recorded('job:slo_error_budget:left'), '{{slo}}')],
            alerts: ['ErrorBudgetLow'],
            see: [failedLogs, slowTraces],
        }),
        timeline({
            id: 16,
            title: 'Targets',
            width: 8,
            unit: unit.onOff,
            description: `
                Whether Prometheus reaches each instance. Red: the instance or the way to it is down. Missing
                altogether: nothing is watched, so nothing else here can be believed.`,
            states: { 0: ['down', 'red'], 1: ['up', 'green'] },
            ask: [ask(max(of('up'), 'instance'), '{{instance}}')],
            alerts: ['TargetDown', 'TargetAbsent'],
            see: [instance('Its internal port', '/'), logs()],
        }),
    ),

    row(
        'What do users see?',
        8,
        timeseries({
            id: 15,
            title: 'Requests',
            width: 8,
            unit: unit.requestsPerSecond,
            description: `
                Requests a second, by job. A fall to nothing means that users do not reach the service: look at what
                is in front of it. A rise explains much of what is below.`,
            ask: [ask(recorded('job:http_server_requests:rate5m'), '{{job}}, over 5m'), ask(requests, 'now')],
            alerts: ['TrafficVanished'],
            see: [logs(), open('http')],
        }),
        timeseries({
            id: 13,
            title: 'Errors',
            width: 8,
            unit: unit.share,
            description: `
                Which share of requests failed for a reason of ours (5xx). Above the line somebody is woken. By route
                and kind: HTTP. A click leads to their lines and traces.`,
            ask: [ask(failed, 'failed')],
            lines: [{ alert: 'HighErrorRate', at: 0.05 }],
            alerts: ['HighErrorRate'],
            see: [failedLogs, failedTraces, open('http')],
        }),
        timeseries({
            id: 14,
            title: 'Latency',
            width: 8,
            unit: unit.seconds,
            description: `
                How long requests took: half of them, and all but one in a hundred. ${percent(latency.objective)}
                shall stay under ${milliseconds(bound)}. Points are traces: open one from above the line and see
                where its time went.`,
            ask: [ask(quantile(0.99, OBJECTIVE), 'p99'), ask(quantile(0.5, OBJECTIVE), 'p50')],
            lines: [{ alert: 'HighLatencyP99', at: 1 }],
            alerts: ['HighLatencyP99'],
            see: [slowTraces, logs(`glasshouse_duration_seconds>${bound}`), open('http')],
        }),
    ),

    row(
        'How fast is the budget spent?',
        8,
        timeseries({
            id: 10,
            title: 'Burn rate of availability',
            width: 12,
            unit: unit.count,
            description: `
                1 spends the budget in exactly ${window}. Above 14.4 for an hour, 2 % of it is gone: act now. Below
                the red lines it can wait for the morning. Which requests fail: Errors, above.`,
            ask: burn('availability'),
            lines: [
                { alert: 'AvailabilityBurnFast', at: 14.4 },
                { alert: 'AvailabilityBurnFast', at: 6 },
                { alert: 'AvailabilityBurnSlow', at: 3 },
                { alert: 'AvailabilityBurnSlow', at: 1 },
            ],
            alerts: ['AvailabilityBurnFast', 'AvailabilityBurnSlow'],
            see: [failedLogs, failedTraces],
        }),
        timeseries({
            id: 11,
            title: 'Burn rate of latency',
            width: 12,
            unit: unit.count,
            description: `
                The same for requests slower than ${milliseconds(bound)}. Burning here and not beside: slow and not
                broken, so look at Database (queries, pool) and Runtime (scheduling delay).`,
            ask: burn('latency'),
            lines: [
                { alert: 'LatencyBurnFast', at: 14.4 },
                { alert: 'LatencyBurnFast', at: 6 },
                { alert: 'LatencyBurnSlow', at: 3 },
                { alert: 'LatencyBurnSlow', at: 1 },
            ],
            alerts: ['LatencyBurnFast', 'LatencyBurnSlow'],
            see: [slowTraces],
        }),
    ),

    row(
        'Which part is it?',
        5,
        stat({
            id: 31,
            title: 'Slowest statement',
            width: 4,
            unit: unit.seconds,
            description: 'The p99 of the slowest database statement. Orange or red: open Database and see which one.',
            levels: rising(0.1, 0.5),
            ask: [ask(max(quantile(0.99, 'db_client_operation_duration_seconds', 'db_query_summary')), 'p99')],
            see: [open('database')],
        }),
        stat({
            id: 32,
            title: 'Pool used',
            width: 4,
            unit: unit.share,
            description: 'The fullest pool of connections. Full, calls queue: open Database and see who holds them.',
            levels: rising(0.7, 0.9),
            ask: [ask(max(poolUsed), 'used')],
            see: [open('database')],
        }),
        stat({
            id: 33,
            title: 'Scheduling delay',
            width: 4,
            unit: unit.seconds,
            description: `
                How long a task that could run waits for a worker, p99. Large: something blocks the workers. Open
                Runtime, then its flamegraph.`,
            levels: rising(0.01, 0.1),
            ask: [ask(max(schedulingDelay('instance')), 'p99')],
            see: [open('runtime')],
        }),
        stat({
            id: 34,
            title: 'Memory used',
            width: 4,
            unit: unit.share,
            description: `
                The instance nearest to its limit, past which the system kills it. Open Runtime and see whether it
                grows.`,
            levels: rising(0.7, 0.9),
            ask: [ask(max(memoryUsed), 'of the limit')],
            see: [open('runtime')],
        }),
        stat({
            id: 35,
            title: 'Sign-ins refused',
            width: 4,
            unit: unit.share,
            description:
                'Which share of attempts to sign in did not succeed. A rise is an attack, or our keys: open HTTP.',
            levels: rising(0.3, 0.5),
            ask: [
                ask(
                    share(
                        sum(rate('glasshouse_sign_ins_total', 'outcome!="success"')),
                        sum(rate('glasshouse_sign_ins_total')),
                    ),
                    'refused',
                ),
            ],
            see: [open('http')],
        }),
        stat({
            id: 36,
            title: 'Telemetry lost',
            width: 4,
            unit: unit.perSecond,
            description: `
                Spans, log records and log lines that were dropped, a second. Not zero: what you look for may be
                missing. Open Telemetry.`,
            levels: rising(0.01, 1),
            ask: [
                ask(
                    [
                        'otel_sdk_processor_span_processed_total',
                        'otel_sdk_exporter_span_exported_total',
                        'otel_sdk_processor_log_processed_total',
                        'otel_sdk_exporter_log_exported_total',
                    ]
                        .map((metric) => sum(rate(metric, 'error_type!=""')))
                        .concat(sum(rate('glasshouse_log_lines_dropped_total')))
                        .join(' + '),
                    'lost',
                ),
            ],
            see: [open('telemetry')],
        }),
    ),

    row(
        'What is different from before?',
        7,
        timeline({
            id: 37,
            title: 'Ready',
            width: 8,
            unit: unit.onOff,
            description: `
                Whether each part of each instance can serve. The part that is red keeps the instance from traffic.`,
            states: { 0: ['not ready', 'red'], 1: ['ready', 'green'] },
            ask: [ask(min(of('glasshouse_ready'), 'instance, check'), '{{instance}} {{check}}')],
            see: [instance('Readiness, part by part', '/health/ready?verbose'), open('database')],
        }),
        table({
            id: 38,
            title: 'Versions',
            width: 8,
            unit: unit.since,
            description: `
                Which build each instance runs, and since when. More than one version: a deploy is under way or stuck
                half-way. Young instances: see Starts in Runtime.`,
            ask: [ask(startedBuild, '')],
            columns: [
                {
                    of: 'instance',
                    title: 'Instance',
                    see: [{ title: 'Its internal port', url: 'http://${__value.raw}/', targetBlank: true }],
                },
                { of: 'version', title: 'Version' },
                { of: 'revision', title: 'Revision' },
                { of: 'rustc', title: 'Compiler' },
                { of: 'Value', title: 'Started', unit: unit.since },
            ],
        }),
        timeseries({
            id: 39,
            title: 'Injected faults',
            width: 8,
            unit: unit.count,
            description: `
                Faults that somebody switched on, by how many instances have them. Not zero outside of a game day:
                end them with DELETE /debug/faults on the internal port.`,
            ask: [ask(sum(of('glasshouse_faults_on'), 'fault'), '{{fault}}')],
            see: [open('runtime')],
        }),
    ),
);
