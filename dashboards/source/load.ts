/** What the load test asks for and sees, beside what the service says of itself. */
import { dashboard, row } from './grafana/dashboard.js';
import { label, logs, open, profile, traces } from './grafana/links.js';
import { milliseconds, objectives, percent } from './grafana/objectives.js';
import { ask, of, orZero, ours, quantile, rate, ratio, sum } from './grafana/query.js';
import { timeseries } from './grafana/timeseries.js';
import { unit } from './grafana/units.js';
import { failed, poolUsed, requests, REQUESTS, tooLong, workersBusy } from './measures.js';

const { availability, latency } = objectives;

/** k6 writes into Prometheus itself and has neither job nor instance. */
const asked = (metric: string, by = '') => sum(`rate(${metric}[$__rate_interval])`, by);

export const load = dashboard(
    'load',
    'A run of k6 beside the service: what was asked, what clients saw, what it cost. k6 writes it by remote write.',

    row(
        'Is the load what was meant?',
        8,
        timeseries({
            id: 30,
            title: 'Requests',
            width: 8,
            unit: unit.requestsPerSecond,
            description: `
                What k6 sent and what the service answered. They part where requests are lost between the two, or
                where others use the service as well.`,
            ask: [ask(asked('k6_http_reqs_total'), 'k6'), ask(requests, 'service')],
            see: [open('http')],
        }),
        timeseries({
            id: 31,
            title: 'Virtual users',
            width: 8,
            unit: unit.count,
            description: `
                Users at work, against how many k6 may start. They rise when answers become slow. At the limit
                iterations are dropped, and the run measures k6.`,
            ask: [ask('sum(k6_vus)', 'at work'), ask('sum(k6_vus_max)', 'limit')],
            limits: ['limit'],
            see: [open('overview')],
        }),
        timeseries({
            id: 32,
            title: 'Iterations',
            width: 8,
            unit: unit.perSecond,
            description: `
                Journeys a second, and those that k6 could not begin in time. Any dropped one means that the load was
                less than it says: the run does not count.`,
            ask: [
                ask(asked('k6_iterations_total'), 'done'),
                ask(orZero(asked('k6_dropped_iterations_total'), asked('k6_iterations_total')), 'dropped'),
            ],
            see: [open('overview')],
        }),
    ),

    row(
        'What do clients see, and what does the service say?',
        8,
        timeseries({
            id: 33,
            title: 'Latency',
            width: 12,
            unit: unit.seconds,
            description: `
                p99 as the slowest route of k6 sees it and as the service measures it; ${percent(latency.objective)}
                shall stay under ${milliseconds(latency.threshold_seconds)}. Apart: the network, or connections that
                wait to be accepted.`,
            ask: [
                ask('max(k6_http_req_duration_p99)', 'k6, slowest route'),
                ask(quantile(0.99, REQUESTS), 'service'),
                ask(`vector(${latency.threshold_seconds})`, 'objective'),
            ],
            limits: ['objective'],
            see: [traces(tooLong)],
        }),
        timeseries({
            id: 34,
            title: 'Failures',
            width: 12,
            unit: unit.share,
            description: `
                Which share failed, for k6 and for the service; ${percent(1 - availability.objective)} may. Apart:
                connections refused or cut, which no handler has seen.`,
            ask: [
                ask('max(k6_http_req_failed_rate)', 'k6, worst route'),
                ask(failed, 'service'),
                ask('1 - min(k6_checks_rate)', 'k6, checks'),
            ],
            see: [logs('http_response_status_code=~"5.."'), traces('status=error')],
        }),
        timeseries({
            id: 35,
            title: 'Latency by route, as clients see it',
            width: 12,
            unit: unit.seconds,
            description: `
                p99 by the name that the journey gives each request. The route that bends first is the one that
                limits.`,
            ask: [ask('max by (name) (k6_http_req_duration_p99)', '{{name}}')],
            see: [open('http')],
        }),
        timeseries({
            id: 36,
            title: 'Latency by route, as the service measures it',
            width: 12,
            unit: unit.seconds,
            description: 'The same from inside. A route that is slow outside only waits in front of the service.',
            ask: [
                ask(
                    quantile(0.99, REQUESTS, 'http_request_method, http_route'),
                    '{{http_request_method}} {{http_route}}',
                ),
            ],
            see: [traces(`span.http.route="${label('http_route')}"`)],
        }),
    ),

    row(
        'What does it cost, and what ends first?',
        8,
        timeseries({
            id: 37,
            title: 'CPU a request',
            width: 6,
            unit: unit.seconds,
            description: `
                Processor time of one request. It should not depend on the load: where it rises, something is fought
                over. Compare it between releases.`,
            ask: [ask(ratio(sum(ours(rate('process_cpu_seconds_total'))), requests), 'CPU a request')],
            see: [open('runtime')],
        }),
        timeseries({
            id: 38,
            title: 'Pool',
            width: 6,
            unit: unit.share,
            description:
                'Connections used, of those there may be. The first thing to end in most services like this one.',
            ask: [ask(poolUsed, '{{instance}}')],
            lines: [{ alert: 'PoolSaturated', at: 0.9 }],
            max: 1,
            see: [open('database')],
        }),
        timeseries({
            id: 39,
            title: 'Workers busy',
            width: 6,
            unit: unit.share,
            description: 'Near 1 the processors are what ends first: that is the capacity of this machine.',
            ask: [ask(workersBusy, '{{instance}} {{runtime}}')],
            max: 1,
            see: [profile],
        }),
        timeseries({
            id: 40,
            title: 'What must come back',
            width: 6,
            unit: unit.bytes,
            description: `
                Memory before, during and after. After a soak it stands where it stood before, or something leaks:
                see Tasks and Memory in Runtime.`,
            ask: [
                ask(sum(ours(of('process_resident_memory_bytes')), 'instance'), '{{instance}} resident'),
                ask(sum(of('jemalloc_allocated_bytes'), 'instance'), '{{instance}} allocated'),
            ],
            see: [open('runtime')],
        }),
    ),
);
