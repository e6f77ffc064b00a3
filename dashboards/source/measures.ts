/** What more than one dashboard asks for. */
import { objectives } from './grafana/objectives.js';
import { max, observations, of, orZero, quantile, rate, ratio, share, sum } from './grafana/query.js';

export const REQUESTS = 'http_server_request_duration_seconds';
/** As the alerts have it: whoever wants an answer in no time burns nobody's budget. */
export const FAILED = 'http_response_status_code=~"5..",error_type!="client_deadline"';

export const requests = observations(REQUESTS);
export const failures = observations(REQUESTS, '', FAILED);
export const failed = share(failures, requests);
export const failuresOrZero = orZero(failures, requests);

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
