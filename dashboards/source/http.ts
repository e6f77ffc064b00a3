/** Which route, which answer, whose requests. */
import { dashboard, row } from './grafana/dashboard.js';
import { heatmap } from './grafana/heatmap.js';
import { label, logs, open, profile, traces } from './grafana/links.js';
import { milliseconds, objectives, percent } from './grafana/objectives.js';
import { ask, mean, observations, of, orZero, quantile, rate, ratio, sum } from './grafana/query.js';
import { timeseries } from './grafana/timeseries.js';
import { unit } from './grafana/units.js';
import { FAILURES, failures, OBJECTIVE, requests, REQUESTS, tooLong } from './measures.js';

const { objective, threshold_seconds: bound } = objectives.latency;

const SIGN_INS = 'glasshouse_sign_ins_total';
const HASHING = 'glasshouse_password_hash_duration_seconds';
const SIGN_IN = '/api/v1/auth/sign-in';
const SHED = 'glasshouse_requests_shed_total';
const signingIn = [logs(`http_route="${SIGN_IN}"`), traces(`span.http.route="${SIGN_IN}"`)];
const onRoute = [logs(`http_route="${label('http_route')}"`), traces(`span.http.route="${label('http_route')}"`)];
const byType = [logs(`error_type="${label('error_type')}"`), traces(`span.error.type="${label('error_type')}"`)];

export const http = dashboard(
    'http',
    'The public port by route: what is asked, what is answered, how long it takes, and who signs in.',

    row(
        'Which route is it?',
        8,
        timeseries({
            id: 30,
            title: 'Requests by route',
            width: 8,
            unit: unit.requestsPerSecond,
            description: `
                Which routes are asked for, as templates. _unmatched is paths that do not exist: scanners, or a
                client of another version.`,
            ask: [
                ask(
                    observations(REQUESTS, 'http_request_method, http_route'),
                    '{{http_request_method}} {{http_route}}',
                ),
            ],
            see: onRoute,
            stacked: true,
        }),
        timeseries({
            id: 31,
            title: 'Failures by route',
            width: 8,
            unit: unit.requestsPerSecond,
            description: `
                Answers of 5xx, but for those that a client wanted sooner than anybody can. One route: its code or its statement. All of them: the database, the runtime, or a
                deploy. A click leads to the lines that have the error with its chain.`,
            ask: [
                ask(
                    sum(rate(FAILURES), 'http_request_method, http_route'),
                    '{{http_request_method}} {{http_route}}',
                ),
                ask(failures, 'all'),
            ],
            see: [
                logs(`http_route="${label('http_route')}" | http_response_status_code=~"5.."`),
                traces(`span.http.route="${label('http_route')}" && status=error`),
            ],
        }),
        timeseries({
            id: 32,
            title: 'Latency by route',
            width: 8,
            unit: unit.seconds,
            description: `
                p99 of each route. Signing in and registering hash a password and are slower by design. Open the
                trace of a point: its longest span is the reason.`,
            ask: [ask(quantile(0.99, REQUESTS, 'http_route'), '{{http_route}}')],
            see: onRoute,
        }),
    ),

    row(
        'How long does it take?',
        9,
        heatmap({
            id: 33,
            title: 'Durations',
            width: 16,
            unit: unit.seconds,
            description: `
                How durations are spread. A second band above the usual one is one kind of request that got slow; a
                smear upwards is everything waiting for the same thing. Points are traces.`,
            of: REQUESTS,
            see: [traces(tooLong)],
        }),
        timeseries({
            id: 34,
            title: 'Within the objective',
            width: 8,
            unit: unit.share,
            description: `
                Which share of requests took less than ${milliseconds(bound)}; ${percent(objective)} shall. Below it
                the budget of latency is being spent.`,
            ask: [
                ask(ratio(sum(rate(`${OBJECTIVE}_bucket`, `le="${bound}"`)), requests), 'fast enough'),
                ask(`vector(${objective})`, 'objective'),
            ],
            limits: ['objective'],
            max: 1,
            see: [open('overview')],
        }),
    ),

    row(
        'What is answered?',
        8,
        timeseries({
            id: 35,
            title: 'Answers',
            width: 8,
            unit: unit.requestsPerSecond,
            description: `
                By status. 499 went away before the answer: often the first sign that it takes too long. 401 and 403
                in numbers: see Rejected tokens.`,
            ask: [ask(observations(REQUESTS, 'http_response_status_code'), '{{http_response_status_code}}')],
            see: [logs(`http_response_status_code="${label('http_response_status_code')}"`)],
            stacked: true,
        }),
        timeseries({
            id: 36,
            title: 'Errors by type',
            width: 8,
            unit: unit.requestsPerSecond,
            description: `
                What went wrong, in the word of the log line and the trace. timeout: something below hangs. panic: a
                bug, see Runtime. unavailable: the database.`,
            ask: [
                ask(observations(REQUESTS, 'error_type', 'error_type!=""'), '{{error_type}}'),
                ask(orZero(observations(REQUESTS, '', 'error_type!=""'), requests), 'all'),
            ],
            see: byType,
        }),
        timeseries({
            id: 37,
            title: 'In flight',
            width: 8,
            unit: unit.count,
            description: `
                Requests under way. A rise without more requests means that they stay longer: look at the pool and
                the scheduling delay.`,
            ask: [ask(sum(of('http_server_active_requests'), 'instance'), '{{instance}}')],
            see: [profile, open('database'), open('runtime')],
        }),
    ),

    row(
        'Is it too much?',
        8,
        timeseries({
            id: 22,
            title: 'Shed and limited',
            width: 12,
            unit: unit.share,
            description: `
                Requests that were turned away, as shares of all: shed with 503 because more arrive than can be done, by
                what they would have spent; limited with 429 because one client or one account asks too often. Shed ones
                count against the objective.`,
            ask: [
                ask(ratio(sum(rate(SHED), 'class'), `scalar(${requests})`), 'shed: {{class}}'),
                ask(
                    ratio(sum(rate('glasshouse_requests_limited_total'), 'reason'), `scalar(${requests})`),
                    'limited: {{reason}}',
                ),
            ],
            lines: [{ alert: 'RequestsShed', at: 0.01 }],
            alerts: ['RequestsShed'],
            see: [logs('error_type="overloaded"'), open('database'), open('runtime')],
        }),
        timeseries({
            id: 46,
            title: 'Concurrency',
            width: 12,
            unit: unit.count,
            description: `
                What is worked on against how much may be, by what it spends, and what waits for its turn; refusals that are held back, so that
                clients which retry at once cost little. The limit is
                found out: as many as are finished in a fifth of the objective. One that falls is a database or a
                processor that got slower; one that is reached is load.`,
            ask: [
                ask(sum(of('glasshouse_concurrency_limit'), 'class'), 'limit of {{class}}'),
                ask(sum(of('glasshouse_concurrency_used'), 'class'), '{{class}} under way'),
                ask(sum(of('glasshouse_concurrency_waiting'), 'class'), '{{class}} waiting'),
                ask(sum(of('glasshouse_refusals_held'), 'class'), '{{class}} refused and held back'),
            ],
            see: [open('database'), open('runtime')],
        }),
    ),

    row(
        'Who signs in?',
        8,
        timeseries({
            id: 20,
            title: 'Sign-ins',
            width: 8,
            unit: unit.share,
            description: `
                How attempts to sign in ended, as shares. Above the line with many attempts somebody guesses: the log
                lines have the addresses that they come from. failed is ours.`,
            ask: [ask(ratio(sum(rate(SIGN_INS), 'outcome'), `scalar(${sum(rate(SIGN_INS))})`), '{{outcome}}')],
            lines: [{ alert: 'SignInFailures', at: 0.5 }],
            alerts: ['SignInFailures'],
            see: signingIn,
        }),
        timeseries({
            id: 38,
            title: 'Attempts to sign in',
            width: 8,
            unit: unit.perSecond,
            description: `
                How many there are. As many as ever, but more of them wrong: a client of ours has a fault. Many more:
                an attack; limited are those that were too many for one account.`,
            ask: [ask(sum(rate(SIGN_INS), 'outcome'), '{{outcome}}')],
            see: signingIn,
        }),
        timeseries({
            id: 60,
            title: 'Remembered by the limits',
            width: 8,
            unit: unit.count,
            description: `
                Addresses and accounts that have asked lately, against how many can be remembered. Near it, or where
                some are forgotten too early, more clients ask at once than the limits were made for: an attack from
                everywhere, or limits.max_clients is too small.`,
            ask: [
                ask(sum(of('glasshouse_limit_clients'), 'limit'), '{{limit}}'),
                ask(sum(of('glasshouse_limit_clients_max'), 'limit'), '{{limit}} at most'),
                ask(sum(rate('glasshouse_limit_evictions_total'), 'limit'), '{{limit}} forgotten a second'),
            ],
            see: [logs('http_response_status_code="429"')],
        }),
        timeseries({
            id: 21,
            title: 'Rejected tokens',
            width: 8,
            unit: unit.count,
            description: `
                Tokens that were not accepted, in five minutes, by why. Expired ones are normal; a bad signature in
                numbers is a wrong or rotated key; a refresh token that is used twice may be stolen.`,
            ask: [ask(`${sum(rate('glasshouse_token_rejections_total'), 'reason')} * (5 * 60)`, '{{reason}}')],
            lines: [{ alert: 'TokenRejections', at: 50 }],
            alerts: ['TokenRejections'],
            see: [logs('http_response_status_code="401"')],
        }),
        timeseries({
            id: 45,
            title: 'Accounts, tokens, sessions',
            width: 8,
            unit: unit.perSecond,
            description: `
                Accounts that were registered, tokens that were issued, expired sessions that were swept. A flood of
                registrations is somebody with a script.`,
            ask: [
                ask(sum(rate('glasshouse_users_registered_total')), 'registered'),
                ask(sum(rate('glasshouse_tokens_issued_total'), 'grant'), 'token for {{grant}}'),
                ask(sum(rate('glasshouse_sessions_swept_total')), 'swept'),
            ],
            see: [logs('http_route="/api/v1/users"')],
        }),
        timeseries({
            id: 61,
            title: 'Verified tokens',
            width: 8,
            unit: unit.perSecond,
            description: `
                Access tokens that were found in the cache of verified ones (hit), whose signature had to be verified
                (miss), and that left the cache because it was full. A verification costs more CPU than the rest of a
                read: many evictions mean that more tokens are in use than the cache holds, and misses without
                evictions that clients ask for a new token too often.`,
            ask: [
                ask(sum(rate('glasshouse_token_cache_lookups_total'), 'result'), '{{result}}'),
                ask(sum(rate('glasshouse_token_cache_evictions_total')), 'evicted'),
            ],
            see: [open('runtime')],
        }),
        timeseries({
            id: 39,
            title: 'Hashing a password',
            width: 12,
            unit: unit.seconds,
            description: `
                How long one hash takes, without waiting. It is slow on purpose; slower than it was means that the
                processors are busy or throttled: look at CPU in Runtime.`,
            ask: [ask(quantile(0.99, HASHING), 'p99'), ask(quantile(0.5, HASHING), 'p50')],
            see: [...signingIn, open('runtime')],
        }),
        timeseries({
            id: 40,
            title: 'Passwords that wait',
            width: 12,
            unit: unit.count,
            description: `
                How many wait for their turn, and how many a second were refused because too many did. Refusals: more
                processors, or an attack that belongs in front of the service.`,
            ask: [
                ask(sum(of('glasshouse_password_hashes_waiting')), 'waiting'),
                ask(sum(rate('glasshouse_password_hashes_refused_total')), 'refused a second'),
            ],
            see: signingIn,
        }),
    ),

    row(
        'How much is carried, and for whom?',
        8,
        timeseries({
            id: 41,
            title: 'Sizes of requests',
            width: 6,
            unit: unit.bytes,
            description: 'The mean body by route. A jump is another client, or one that tries what happens.',
            ask: [ask(mean('http_server_request_body_size_bytes', 'http_route'), '{{http_route}}')],
            see: onRoute,
        }),
        timeseries({
            id: 42,
            title: 'Sizes of answers',
            width: 6,
            unit: unit.bytes,
            description: 'The p99 of bodies by route. Growth on a list is pages that became larger.',
            ask: [ask(quantile(0.99, 'http_server_response_body_size_bytes', 'http_route'), '{{http_route}}')],
            see: onRoute,
        }),
        timeseries({
            id: 43,
            title: 'Connections',
            width: 6,
            unit: unit.count,
            description: `
                Open connections against how many may be. At the limit new ones wait: raise it, or see who holds
                them.`,
            ask: [
                ask(sum(of('glasshouse_http_connections'), 'instance'), '{{instance}}'),
                ask(sum(of('glasshouse_http_connections_max')), 'limit'),
            ],
            limits: ['limit'],
            see: [open('runtime')],
        }),
        timeseries({
            id: 44,
            title: 'Connections without an answer',
            width: 6,
            unit: unit.perSecond,
            description: `
                Connections that ended before they were a request: what could not be read, or took too long. A rise
                is scanners, a broken client, or a proxy that speaks something else.`,
            ask: [
                ask(sum(rate('glasshouse_http_connection_failures_total'), 'reason'), '{{reason}}'),
                ask(sum(rate('glasshouse_tcp_listen_overflows_total')), 'accept queue full'),
                ask(sum(rate('glasshouse_tcp_listen_drops_total')), 'dropped by the kernel'),
            ],
            see: [logs()],
        }),
    ),
);
