/** Can it be reached, which statement is slow, is the pool large enough? */
import { dashboard, row } from './grafana/dashboard.js';
import { heatmap } from './grafana/heatmap.js';
import { instance, label, logs, open, tasks, traces } from './grafana/links.js';
import { ask, min, observations, of, quantile, rate, ratio, sum } from './grafana/query.js';
import { timeline } from './grafana/timeline.js';
import { timeseries } from './grafana/timeseries.js';
import { unit } from './grafana/units.js';
import { poolUsed } from './measures.js';

const CALLS = 'db_client_operation_duration_seconds';
const calls = observations(CALLS);
/** By outcome: failures are neither calls that were given up nor values that are taken. */
const OUTCOMES = 'glasshouse_db_calls_total';
const statement = [
    traces(`span.db.query.summary="${label('db_query_summary')}"`),
    logs(`db_query_summary="${label('db_query_summary')}"`),
];
const waits = [traces('name="pool wait"'), logs('glasshouse_db_wait_seconds>0.1')];

export const database = dashboard(
    'database',
    'The store as the service sees it: whether it answers, how long each statement takes, whether connections suffice.',

    row(
        'Does it answer?',
        8,
        timeline({
            id: 10,
            title: 'Ready',
            width: 12,
            unit: unit.onOff,
            description: `
                Whether the store answers each instance. All red at once: the database or the network to it. One:
                that instance. The service goes on by itself once it answers.`,
            states: { 0: ['does not answer', 'red'], 1: ['answers', 'green'] },
            ask: [ask(min(of('glasshouse_ready', 'check="store"'), 'instance'), '{{instance}}')],
            alerts: ['DatabaseDown'],
            see: [instance('Readiness, part by part', '/health/ready?verbose'), logs('detected_level="error"')],
        }),
        timeseries({
            id: 11,
            title: 'Errors',
            width: 12,
            unit: unit.share,
            description: `
                Which share of the calls failed, by SQLSTATE where the database gave one. 08…: connections; 53…: it
                has run out of something; 57…: it is stopping. 23… is a client that wanted what is taken, and not
                ours.`,
            ask: [
                ask(ratio(observations(CALLS, 'error_type', 'error_type!=""'), `scalar(${calls})`), '{{error_type}}'),
                ask(ratio(sum(rate(OUTCOMES, 'outcome="failure"')), sum(rate(OUTCOMES))), 'failures, all together'),
            ],
            lines: [{ alert: 'DatabaseErrors', at: 0.02 }],
            alerts: ['DatabaseErrors'],
            see: [
                traces(`span.db.query.summary!="" && span.error.type="${label('error_type')}"`),
                logs('detected_level="error"'),
            ],
        }),
        timeline({
            id: 14,
            title: 'Circuit',
            width: 12,
            unit: unit.onOff,
            description: `
                Whether each instance lets its calls pass to the store. Red while Ready is green: the store answers, and
                its calls take too long, a lock or a plan. The log says why it opened; it closes by itself.`,
            states: { 0: ['leaves the store alone', 'red'], 1: ['closed', 'green'] },
            ask: [ask(min(of('glasshouse_circuit_state', 'state="closed"'), 'instance'), '{{instance}}')],
            alerts: ['CircuitOpen'],
            see: [instance('Readiness, part by part', '/health/ready?verbose'), logs('glasshouse_circuit_state!=""')],
        }),
        timeseries({
            id: 39,
            title: 'Refused and tried again',
            width: 12,
            unit: unit.callsPerSecond,
            description: `
                Calls that an open circuit refused, each a 503, and calls that met a dead connection and were made
                again. Over budget: so many connections break that trying again would make it worse.`,
            ask: [
                ask(sum(rate('glasshouse_circuit_refusals_total'), 'instance'), 'refused, {{instance}}'),
                ask(sum(rate('glasshouse_store_retries_total'), 'outcome'), 'again, {{outcome}}'),
            ],
            alerts: ['CircuitOpen'],
            see: [logs('detected_level="warn"')],
        }),
    ),

    row(
        'Which statement is it?',
        8,
        timeseries({
            id: 12,
            title: 'Latency of queries',
            width: 12,
            unit: unit.seconds,
            description: `
                p95 by statement, without waiting for a connection. One above the line: its plan; all of them: the
                database itself, its disk or its processors. Open a trace and ask for the plan of its db.query.text.`,
            ask: [ask(quantile(0.95, CALLS, 'db_query_summary'), '{{db_query_summary}}')],
            lines: [{ alert: 'DatabaseSlow', at: 0.1 }],
            alerts: ['DatabaseSlow'],
            see: statement,
        }),
        heatmap({
            id: 30,
            title: 'Durations of queries',
            width: 12,
            unit: unit.seconds,
            description: `
                How durations are spread over all statements. Two bands are a statement with two plans, or a lock
                that is sometimes held. Points are traces.`,
            of: CALLS,
            see: [traces('span.db.query.summary!="" && duration>100ms')],
        }),
        timeseries({
            id: 31,
            title: 'Calls by statement',
            width: 8,
            unit: unit.callsPerSecond,
            description: `
                How often each statement is made. More calls with as many requests: somebody asks in a loop, see
                Statements a request.`,
            ask: [ask(observations(CALLS, 'db_query_summary'), '{{db_query_summary}}')],
            see: statement,
            stacked: true,
        }),
        timeseries({
            id: 32,
            title: 'Time by statement',
            width: 8,
            unit: unit.count,
            description: `
                How many connections each statement keeps busy on average: where an index or a cache would give most.`,
            ask: [ask(sum(rate(`${CALLS}_sum`), 'db_query_summary'), '{{db_query_summary}}')],
            see: statement,
            stacked: true,
        }),
        timeseries({
            id: 33,
            title: 'Statements a request',
            width: 8,
            unit: unit.count,
            description: `
                p99 of how many statements one request made, by route. It does not depend on the data: a rise after a
                deploy is an N+1.`,
            ask: [ask(quantile(0.99, 'glasshouse_request_db_queries', 'http_route'), '{{http_route}}')],
            see: [traces(`span.http.route="${label('http_route')}"`), open('http')],
        }),
    ),

    row(
        'Are there connections enough?',
        8,
        timeseries({
            id: 13,
            title: 'Connections',
            width: 8,
            unit: unit.share,
            description: `
                Which share of its connections each instance uses. Above the line while calls wait: find what holds
                them (time of use), before the pool is made larger.`,
            ask: [ask(poolUsed, '{{instance}}')],
            lines: [{ alert: 'PoolSaturated', at: 0.9 }],
            max: 1,
            alerts: ['PoolSaturated'],
            see: [...waits, tasks],
        }),
        timeseries({
            id: 34,
            title: 'Connections by state',
            width: 8,
            unit: unit.count,
            description: `
                All instances together, against the most there may be. That must stay below what the database allows,
                times the instances of a deploy.`,
            ask: [
                ask(sum(of('db_client_connections'), 'db_client_connection_state'), '{{db_client_connection_state}}'),
                ask(sum(of('db_client_connection_max')), 'limit'),
            ],
            limits: ['limit'],
            stacked: true,
            see: waits,
        }),
        timeseries({
            id: 35,
            title: 'Calls that wait',
            width: 8,
            unit: unit.count,
            description: `
                Calls that wait for a connection now, and those a second that gave up. Anything but short spikes is
                felt by users.`,
            ask: [
                ask(sum(of('db_client_connection_pending_requests'), 'instance'), '{{instance}}'),
                ask(sum(rate('db_client_connection_timeouts_total')), 'gave up, a second'),
            ],
            alerts: ['PoolSaturated'],
            see: waits,
        }),
        timeseries({
            id: 36,
            title: 'Waiting for a connection',
            width: 8,
            unit: unit.seconds,
            description: `
                Time that requests lose before their statement begins. Long while the pool is not full: opening
                connections is slow, see beside.`,
            ask: [
                ask(quantile(0.99, 'db_client_connection_wait_time_seconds'), 'p99'),
                ask(quantile(0.5, 'db_client_connection_wait_time_seconds'), 'p50'),
            ],
            see: waits,
        }),
        timeseries({
            id: 37,
            title: 'Holding a connection',
            width: 8,
            unit: unit.seconds,
            description: `
                How long a call or transaction keeps its connection. Much longer than its statements take: something
                else is done in between.`,
            ask: [
                ask(quantile(0.99, 'db_client_connection_use_time_seconds'), 'p99'),
                ask(quantile(0.5, 'db_client_connection_use_time_seconds'), 'p50'),
            ],
            see: waits,
        }),
        timeseries({
            id: 38,
            title: 'Opening a connection',
            width: 8,
            unit: unit.seconds,
            description: `
                How long it takes, on average. Slow: the database is out of processes or the network drops packets.
                The number of them stands beside, as a rate.`,
            ask: [ask(quantile(0.99, 'db_client_connection_create_time_seconds'), 'p99')],
            see: [logs('detected_level="warn"')],
        }),
    ),
);
