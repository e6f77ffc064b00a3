//! Names of metrics and of their attributes in OTLP: OpenTelemetry's where there are some, below `glasshouse.` otherwise.

use std::borrow::Cow;

use super::{Metric, attributes::NAMESPACE};

/// Metrics that OpenTelemetry defines, with its names and units.
const METRICS: &[(&str, &str, &str)] = &[
    ("db_client_connection_create_time_seconds", "db.client.connection.create_time", "s"),
    ("db_client_connection_max", "db.client.connection.max", "{connection}"),
    ("db_client_connection_pending_requests", "db.client.connection.pending_requests", "{request}"),
    ("db_client_connection_timeouts_total", "db.client.connection.timeouts", "{timeout}"),
    ("db_client_connection_use_time_seconds", "db.client.connection.use_time", "s"),
    ("db_client_connection_wait_time_seconds", "db.client.connection.wait_time", "s"),
    ("db_client_connections", "db.client.connection.count", "{connection}"),
    ("db_client_operation_duration_seconds", "db.client.operation.duration", "s"),
    ("http_server_active_requests", "http.server.active_requests", "{request}"),
    ("http_server_request_body_size_bytes", "http.server.request.body.size", "By"),
    ("http_server_request_duration_seconds", "http.server.request.duration", "s"),
    ("http_server_response_body_size_bytes", "http.server.response.body.size", "By"),
    ("otel_sdk_exporter_log_exported_total", "otel.sdk.exporter.log.exported", "{log_record}"),
    (
        "otel_sdk_exporter_metric_data_point_exported_total",
        "otel.sdk.exporter.metric_data_point.exported",
        "{data_point}",
    ),
    ("otel_sdk_exporter_span_exported_total", "otel.sdk.exporter.span.exported", "{span}"),
    ("otel_sdk_processor_log_processed_total", "otel.sdk.processor.log.processed", "{log_record}"),
    ("otel_sdk_processor_log_queue_capacity", "otel.sdk.processor.log.queue.capacity", "{log_record}"),
    ("otel_sdk_processor_log_queue_size", "otel.sdk.processor.log.queue.size", "{log_record}"),
    ("otel_sdk_processor_span_processed_total", "otel.sdk.processor.span.processed", "{span}"),
    ("otel_sdk_processor_span_queue_capacity", "otel.sdk.processor.span.queue.capacity", "{span}"),
    ("otel_sdk_processor_span_queue_size", "otel.sdk.processor.span.queue.size", "{span}"),
    ("process_cpu_seconds_total", "process.cpu.time", "s"),
    ("process_open_fds", "process.unix.file_descriptor.count", "{file_descriptor}"),
    ("process_resident_memory_bytes", "process.memory.usage", "By"),
    ("process_threads", "process.thread.count", "{thread}"),
    ("process_virtual_memory_bytes", "process.memory.virtual", "By"),
];

/// Labels that are attributes of OpenTelemetry.
const LABELS: &[(&str, &str)] = &[
    ("db_client_connection_pool_name", "db.client.connection.pool.name"),
    ("db_client_connection_state", "db.client.connection.state"),
    ("db_collection_name", "db.collection.name"),
    ("db_operation_name", "db.operation.name"),
    ("db_query_summary", "db.query.summary"),
    ("db_system_name", "db.system.name"),
    ("error_type", "error.type"),
    ("http_request_method", "http.request.method"),
    ("http_response_status_code", "http.response.status_code"),
    ("http_route", "http.route"),
    ("url_scheme", "url.scheme"),
];

/// Whether OpenTelemetry defines the metric.
pub(super) fn is_standard(metric: &Metric) -> bool {
    METRICS.iter().any(|(known, ..)| *known == metric.name)
}

/// A metric's name and unit (UCUM) in OTLP.
#[must_use]
pub fn otlp_metric(metric: &Metric) -> (Cow<'static, str>, &'static str) {
    if let Some((_, name, unit)) = METRICS.iter().find(|(known, ..)| *known == metric.name) {
        return ((*name).into(), unit);
    }
    let (mut name, mut unit) = (metric.name.trim_end_matches("_total"), "1");
    for (ending, symbol) in [("_seconds", "s"), ("_bytes", "By")] {
        if let Some(rest) = name.strip_suffix(ending) {
            (name, unit) = (rest, symbol);
        }
    }
    (format!("{NAMESPACE}{}", name.trim_start_matches("glasshouse_")).into(), unit)
}

/// A label's name as an attribute in OTLP.
#[must_use]
pub fn otlp_attribute(label: &str) -> Cow<'static, str> {
    let known = LABELS.iter().find(|(known, _)| *known == label);
    known.map_or_else(|| format!("{NAMESPACE}{label}").into(), |(_, attribute)| (*attribute).into())
}

#[cfg(test)]
mod tests {
    use super::{METRICS, otlp_metric};
    use crate::telemetry::catalog;

    #[test]
    fn otlp_metric_has_the_standard_name_or_one_below_the_namespace() {
        for (metric, name, unit) in [
            (&catalog::HTTP_SERVER_REQUEST_DURATION, "http.server.request.duration", "s"),
            (&catalog::DB_CLIENT_CONNECTIONS, "db.client.connection.count", "{connection}"),
            (&catalog::SCRAPE_SIZE, "glasshouse.scrape_size", "By"),
            (&catalog::SIGN_INS, "glasshouse.sign_ins", "1"),
        ] {
            assert_eq!(otlp_metric(metric), (name.into(), unit));
        }
        for (known, ..) in METRICS {
            assert!(catalog::METRICS.iter().any(|metric| metric.name == *known), "{known} is not in the catalogue");
        }
    }
}
