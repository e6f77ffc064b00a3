/** What more than one dashboard asks for. */
import { objectives } from './grafana/objectives.js';
import { max, observations, of, quantile, rate, ratio, sum } from './grafana/query.js';

export const REQUESTS = 'http_server_request_duration_seconds';
/** Requests that the service failed, as the alerts count them, by route. Its series exist from the start. */
export const FAILURES = 'glasshouse_request_failures_total';

/** All requests together. Its series exist from the start, so that a rate sees the first failure too. */
export const OBJECTIVE = 'glasshouse_slo_request_duration_seconds';
export const requests = observations(OBJECTIVE);
export const failures = observations(OBJECTIVE, '', 'availability="bad"');
export const failed = ratio(failures, requests);

/** The bound of the latency objective, as TraceQL writes it. */
export const tooLong = `duration>${objectives.latency.threshold_seconds * 1000}ms`;

const POOL = 'db_client_connection';
export const poolUsed = ratio(
    sum(of(`${POOL}s`, `${POOL}_state="used"`), 'instance'),
    sum(of(`${POOL}_max`), 'instance'),
);

export const workersBusy = ratio(
    sum(rate('tokio_runtime_worker_busy_seconds_total'), 'instance, runtime'),
    sum(of('tokio_runtime_workers'), 'instance, runtime'),
);

export const memoryUsed = ratio(
    max(of('process_resident_memory_bytes'), 'instance'),
    max(of('process_memory_limit_bytes'), 'instance'),
);

export const schedulingDelay = (by: string) => quantile(0.99, 'tokio_runtime_scheduling_delay_seconds', by);
