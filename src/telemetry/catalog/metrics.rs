//! Every metric.

use super::{
    Kind::{Counter, Gauge, Histogram},
    Metric,
};

/// OpenTelemetry's advice for request durations; the latency objective, 0.25 s, is one of them.
pub const HTTP_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// OpenTelemetry's advice for database calls.
pub const DB_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Around the 30 ms that one argon2id hash takes on an idle core.
const HASH_SECONDS: &[f64] = &[0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5];
/// From a wake-up on an idle core to a runtime that is stuck.
const DELAY_SECONDS: &[f64] = &[0.000_05, 0.000_1, 0.000_5, 0.001_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.5, 10.5];
/// Halves, because no bound may be an integer: `le="1"` and `le="1.0"` are two series to an older Prometheus.
const QUERY_COUNT: &[f64] = &[0.5, 1.5, 2.5, 3.5, 5.5, 10.5, 20.5, 50.5];
/// From an empty answer's few bytes to the largest page of users.
const BODY_BYTES: &[f64] = &[0.5, 128.5, 512.5, 1024.5, 4096.5, 16384.5, 65536.5, 262_144.5];

/// Makes a constant for each metric and the list of them all, so that none can be missing from it.
macro_rules! metrics {
    ($($constant:ident: $kind:expr, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            pub const $constant: Metric = Metric { name: $name, help: $help, kind: $kind, labels: &[$($label),*] };
        )*

        /// All of them, in the order in which people read them.
        pub const METRICS: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    // What clients see.
    HTTP_SERVER_REQUEST_DURATION: Histogram(HTTP_SECONDS), "http_server_request_duration_seconds", ["http_request_method", "http_route", "http_response_status_code", "error_type", "url_scheme"],
        "How long a request took, from its headers to the end of the answer";
    SLO_REQUEST_DURATION: Histogram(HTTP_SECONDS), "glasshouse_slo_request_duration_seconds", ["availability"],
        "Requests as the objectives count them: good, or bad if the service failed them; both series exist from the start";
    REQUEST_FAILURES: Counter, "glasshouse_request_failures_total", ["http_request_method", "http_route", "error_type"],
        "Requests that the service failed; the series of every route and cause exist from the start";
    HTTP_SERVER_ACTIVE_REQUESTS: Gauge, "http_server_active_requests", ["http_request_method", "url_scheme"],
        "Requests under way, until the end of the answer's body";
    HTTP_SERVER_REQUEST_BODY_SIZE: Histogram(BODY_BYTES), "http_server_request_body_size_bytes", ["http_request_method", "http_route"],
        "How much of a request's body was read";
    HTTP_SERVER_RESPONSE_BODY_SIZE: Histogram(BODY_BYTES), "http_server_response_body_size_bytes", ["http_request_method", "http_route"],
        "How much of an answer's body was written";
    HTTP_SERVER_CONNECTIONS: Gauge, "glasshouse_http_connections", [],
        "Open connections to the public port";
    HTTP_SERVER_CONNECTIONS_MAX: Gauge, "glasshouse_http_connections_max", [],
        "How many connections may be open at once";
    HTTP_SERVER_REFUSED_CONNECTIONS: Counter, "glasshouse_http_connection_failures_total", ["reason"],
        "Connections that ended without an answer of ours: what could not be read, or took too long";
    REQUESTS_LIMITED: Counter, "glasshouse_requests_limited_total", ["reason"],
        "Requests that were answered with 429, by whether the address or the attempts at one account were too many";
    LIMIT_CLIENTS: Gauge, "glasshouse_limit_clients", ["limit"],
        "Clients of which a limit remembers that they have asked lately: addresses, accounts, addresses known for one";
    LIMIT_CLIENTS_MAX: Gauge, "glasshouse_limit_clients_max", ["limit"],
        "How many clients a limit can remember; 0 where limits are off";
    LIMIT_EVICTIONS: Counter, "glasshouse_limit_evictions_total", ["limit"],
        "Clients that a limit forgot before their time because there were too many";

    REQUESTS_SHED: Counter, "glasshouse_requests_shed_total", ["class", "reason"],
        "Requests that were answered with 503 because there is more to do than can be done, by what they would have spent";
    CONCURRENCY_LIMIT: Gauge, "glasshouse_concurrency_limit", ["class"],
        "How many requests may be worked on at once, by what they spend: as many as are finished in good time";
    CONCURRENCY_USED: Gauge, "glasshouse_concurrency_used", ["class"],
        "Requests that are worked on";
    REFUSALS_HELD: Gauge, "glasshouse_refusals_held", ["class"],
        "Refusals for overload that are held back, so that clients which retry at once cost little";
    CONCURRENCY_WAITING: Gauge, "glasshouse_concurrency_waiting", ["class"],
        "Requests that wait until they are worked on";

    // The database.
    DB_CLIENT_OPERATION_DURATION: Histogram(DB_SECONDS), "db_client_operation_duration_seconds", ["db_system_name", "db_operation_name", "db_collection_name", "db_query_summary", "error_type"],
        "How long a database call took, without waiting for a connection";
    DB_CALLS: Counter, "glasshouse_db_calls_total", ["outcome"],
        "Database calls by outcome: success, failure, or client for a value that is taken or a request that was given up";
    DB_CLIENT_CONNECTIONS: Gauge, "db_client_connections", ["db_client_connection_pool_name", "db_client_connection_state"],
        "Connections of the pool by what they do";
    DB_CLIENT_CONNECTION_MAX: Gauge, "db_client_connection_max", ["db_client_connection_pool_name"],
        "The most connections the pool may have";
    DB_CLIENT_CONNECTION_PENDING_REQUESTS: Gauge, "db_client_connection_pending_requests", ["db_client_connection_pool_name"],
        "Calls that wait for a connection";
    DB_CLIENT_CONNECTION_TIMEOUTS: Counter, "db_client_connection_timeouts_total", ["db_client_connection_pool_name"],
        "Calls that waited for a connection in vain";
    DB_CLIENT_CONNECTION_WAIT_TIME: Histogram(DB_SECONDS), "db_client_connection_wait_time_seconds", ["db_client_connection_pool_name"],
        "How long a call waited for a connection";
    DB_CLIENT_CONNECTION_CREATE_TIME: Histogram(DB_SECONDS), "db_client_connection_create_time_seconds", ["db_client_connection_pool_name"],
        "How long it took to open a connection";
    DB_CLIENT_CONNECTION_USE_TIME: Histogram(DB_SECONDS), "db_client_connection_use_time_seconds", ["db_client_connection_pool_name"],
        "How long a call or a transaction held its connection";
    STORE_RETRIES: Counter, "glasshouse_store_retries_total", ["outcome"],
        "Database calls that met a dead connection and could be made again, by whether they were";
    CIRCUIT_STATE: Gauge, "glasshouse_circuit_state", ["circuit", "state"],
        "Which state a circuit breaker is in: 1 for closed, half_open or open, 0 for the other two";
    CIRCUIT_REFUSALS: Counter, "glasshouse_circuit_refusals_total", ["circuit"],
        "Calls that were not made because the circuit was open";
    REQUEST_DB_QUERIES: Histogram(QUERY_COUNT), "glasshouse_request_db_queries", ["http_route"],
        "How many statements one request made";

    // The runtimes, the process, the allocator.
    TOKIO_ALIVE_TASKS: Gauge, "tokio_runtime_alive_tasks", ["runtime"],
        "Tasks that have not ended";
    TOKIO_GLOBAL_QUEUE_DEPTH: Gauge, "tokio_runtime_global_queue_depth", ["runtime"],
        "Tasks in the queue that all workers share";
    TOKIO_BLOCKING_QUEUE_DEPTH: Gauge, "tokio_runtime_blocking_queue_depth", ["runtime"],
        "Closures that wait for a blocking thread";
    TOKIO_BLOCKING_THREADS: Gauge, "tokio_runtime_blocking_threads", ["runtime"],
        "Blocking threads, busy and idle";
    TOKIO_WORKERS: Gauge, "tokio_runtime_workers", ["runtime"],
        "Worker threads";
    TOKIO_WORKER_BUSY: Counter, "tokio_runtime_worker_busy_seconds_total", ["runtime"],
        "How long all workers together were busy";
    TOKIO_POLL_DURATION: Histogram(&[]), "tokio_runtime_poll_duration_seconds", ["runtime"],
        "How long one poll of a task took";
    TOKIO_SCHEDULING_DELAY: Histogram(DELAY_SECONDS), "tokio_runtime_scheduling_delay_seconds", ["runtime"],
        "How long a runtime took to begin a task that was given to it from outside";
    TOKIO_STALLED: Gauge, "tokio_runtime_stalled", ["runtime"],
        "Whether for longer than internal.stall_after a worker polls one task, or no worker comes to a new one: 1 or 0";
    TOKIO_STALLS: Counter, "tokio_runtime_stalls_total", ["runtime"],
        "Polls of one task, and times without coming to a new one, that lasted longer than internal.stall_after";
    TOKIO_STALLS_UNCAPTURED: Counter, "tokio_runtime_stalls_uncaptured_total", ["runtime"],
        "Stalls of which no stack was taken: too many in a minute, over too early, or impossible here";
    PROCESS_CPU: Counter, "process_cpu_seconds_total", [],
        "User and system CPU time, with fractions";
    PROCESS_RESIDENT_MEMORY: Gauge, "process_resident_memory_bytes", [],
        "Memory in RAM";
    PROCESS_VIRTUAL_MEMORY: Gauge, "process_virtual_memory_bytes", [],
        "Address space";
    PROCESS_MEMORY_LIMIT: Gauge, "process_memory_limit_bytes", [],
        "How much memory the process may take: its control group's limit, or what the machine has";
    PROCESS_OPEN_FDS: Gauge, "process_open_fds", [],
        "Open file descriptors";
    PROCESS_MAX_FDS: Gauge, "process_max_fds", [],
        "The most file descriptors the process may open";
    PROCESS_THREADS: Gauge, "process_threads", [],
        "Operating system threads";
    PROCESS_START_TIME: Gauge, "process_start_time_seconds", [],
        "When the process started, in seconds since the epoch";
    JEMALLOC_ALLOCATED: Gauge, "jemalloc_allocated_bytes", [],
        "What the program has allocated and not freed";
    JEMALLOC_ACTIVE: Gauge, "jemalloc_active_bytes", [],
        "Pages that hold allocations";
    JEMALLOC_RESIDENT: Gauge, "jemalloc_resident_bytes", [],
        "Pages that are in RAM on behalf of the allocator";
    JEMALLOC_RETAINED: Gauge, "jemalloc_retained_bytes", [],
        "Address space that the allocator keeps without RAM behind it";
    HEAP_SAMPLING: Gauge, "glasshouse_heap_sampling", [],
        "Whether allocations are sampled for heap profiles: 0 or 1";
    BUILD_INFO: Gauge, "glasshouse_build_info", ["version", "revision", "rustc"],
        "Always 1; which build this is";
    PANICS: Counter, "glasshouse_panics_total", [],
        "Panics, wherever they happened";

    TCP_LISTEN_OVERFLOWS: Counter, "glasshouse_tcp_listen_overflows_total", [],
        "Connections that found the accept queue of a listening socket full, in this network namespace";
    TCP_LISTEN_DROPS: Counter, "glasshouse_tcp_listen_drops_total", [],
        "Connections that the kernel dropped at a listening socket for any reason, in this network namespace";

    // What the service does.
    USERS_REGISTERED: Counter, "glasshouse_users_registered_total", [],
        "Accounts that were registered";
    SIGN_INS: Counter, "glasshouse_sign_ins_total", ["outcome"],
        "Attempts to sign in, by how they ended";
    TOKENS_ISSUED: Counter, "glasshouse_tokens_issued_total", ["grant"],
        "Access tokens that were issued, by what for";
    TOKEN_REJECTIONS: Counter, "glasshouse_token_rejections_total", ["reason"],
        "Access and refresh tokens that were not accepted, by why";
    TOKEN_CACHE_ENTRIES: Gauge, "glasshouse_token_cache_entries", [],
        "Verified access tokens in the cache";
    TOKEN_CACHE_LOOKUPS: Counter, "glasshouse_token_cache_lookups_total", ["result"],
        "Lookups of access tokens in the cache of verified ones: hit or miss";
    TOKEN_CACHE_EVICTIONS: Counter, "glasshouse_token_cache_evictions_total", [],
        "Verified access tokens that left the cache because it was full";
    SESSIONS_SWEPT: Counter, "glasshouse_sessions_swept_total", [],
        "Sessions that had expired and were removed";
    PASSWORD_HASH_DURATION: Histogram(HASH_SECONDS), "glasshouse_password_hash_duration_seconds", [],
        "How long hashing or checking one password took, without waiting";
    PASSWORD_HASHES_WAITING: Gauge, "glasshouse_password_hashes_waiting", [],
        "Passwords that wait to be hashed or checked";
    PASSWORD_HASHES_REFUSED: Counter, "glasshouse_password_hashes_refused_total", [],
        "Passwords that were not hashed because too many waited";
    READY: Gauge, "glasshouse_ready", ["check"],
        "Whether a part can serve: 1 or 0";

    FAULTS_ON: Gauge, "glasshouse_faults_on", ["fault"],
        "Faults that are injected on purpose, by what they do";
    FAULTS_INJECTED: Counter, "glasshouse_faults_injected_total", ["fault"],
        "Times that somebody met such a fault: a request, a statement, an export, or each task and portion of memory";

    // The telemetry itself.
    SPANS_PROCESSED: Counter, "otel_sdk_processor_span_processed_total", ["error_type"],
        "Spans that ended, by whether they were queued for export (empty) or why not";
    SPANS_EXPORTED: Counter, "otel_sdk_exporter_span_exported_total", ["error_type"],
        "Spans whose export ended, by whether it succeeded (empty) or why not";
    SPAN_QUEUE_SIZE: Gauge, "otel_sdk_processor_span_queue_size", [],
        "Spans that wait for export";
    SPAN_QUEUE_CAPACITY: Gauge, "otel_sdk_processor_span_queue_capacity", [],
        "How many spans may wait for export";
    LOGS_PROCESSED: Counter, "otel_sdk_processor_log_processed_total", ["error_type"],
        "Log records for OTLP, by whether they were queued for export (empty) or why not";
    LOGS_EXPORTED: Counter, "otel_sdk_exporter_log_exported_total", ["error_type"],
        "Log records whose export ended, by whether it succeeded (empty) or why not";
    LOG_QUEUE_SIZE: Gauge, "otel_sdk_processor_log_queue_size", [],
        "Log records that wait for export";
    LOG_QUEUE_CAPACITY: Gauge, "otel_sdk_processor_log_queue_capacity", [],
        "How many log records may wait for export";
    METRIC_POINTS_EXPORTED: Counter, "otel_sdk_exporter_metric_data_point_exported_total", ["error_type"],
        "Data points of metrics whose export ended, by whether it succeeded (empty) or why not";
    LOG_LINES: Counter, "glasshouse_log_lines_total", ["level"],
        "Log lines that were written or dropped";
    LOG_LINES_DROPPED: Counter, "glasshouse_log_lines_dropped_total", [],
        "Log lines that the writer had no room for";
    CONSOLE_ON: Gauge, "glasshouse_console_on", [],
        "Whether tasks are recorded for tokio-console: 1 or 0";
    CONSOLE_LEFT_OUT: Counter, "glasshouse_console_left_out_total", ["kind"],
        "Tasks, resources and polls that tokio-console is not told of because there are too many";
    CONSOLE_SWITCHED_OFF: Counter, "glasshouse_console_switched_off_total", ["reason"],
        "Times that tokio-console was switched off although somebody looked, by why";
    FOLLOWERS: Gauge, "glasshouse_followers", [],
        "Clients that follow live requests";
    FOLLOW_DROPPED: Counter, "glasshouse_follow_dropped_total", [],
        "Events that followers of live requests were too slow for";
    METRIC_SERIES: Gauge, "glasshouse_metric_series", ["family"],
        "Series of one family";
    METRIC_SERIES_OVERFLOW: Counter, "glasshouse_metric_series_overflow_total", ["family"],
        "Observations that were folded into _overflow because the family is full";
    INTERNAL_CONNECTIONS: Gauge, "glasshouse_internal_connections", [],
        "Open connections to the internal port";
    INTERNAL_CONNECTION_FAILURES: Counter, "glasshouse_internal_connection_failures_total", ["reason"],
        "Connections to the internal port that were not accepted (accept), or ended as silent, as flooded, or for a newer one (evicted)";
    LOG_FILTER_CHANGED: Gauge, "glasshouse_log_filter_changed", [],
        "Whether the log filter is another one than the settings say: 1 or 0";
    SCRAPE_DURATION: Histogram(DB_SECONDS), "glasshouse_scrape_duration_seconds", [],
        "How long answering a scrape took";
    SCRAPE_SIZE: Gauge, "glasshouse_scrape_size_bytes", [],
        "How long the newest scrape's answer was, before compression";
}
