//! OTLP's messages: requests made of what the SDK hands over, and the answers.
//!
//! Every text passes the redactor here: it is the one place that all exported items leave through.

use std::borrow::Cow;

use opentelemetry_proto::{
    tonic::{
        collector::{
            logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
            metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
            trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
        },
        common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
        logs::v1::LogRecord,
        metrics::v1::{Metric, ResourceMetrics, ScopeMetrics, metric::Data},
        resource::v1::Resource,
        trace::v1::Span,
    },
    transform::{
        common::tonic::ResourceAttributesWithSchema, logs::tonic::group_logs_by_resource_and_scope,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{logs::LogBatch, trace::SpanData};
use prost::{DecodeError, Message};

use crate::telemetry::{Redactor, catalog};

/// The gRPC method that takes spans.
pub(super) const SPANS_METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The gRPC method that takes log records.
pub(super) const LOGS_METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// The gRPC method that takes metrics.
pub(super) const METRICS_METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// The most characters of a collector's message that are logged.
const MAX_MESSAGE_CHARS: usize = 500;

/// The items of an export that the collector did not take.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PartialSuccess {
    /// How many items were rejected; 0 where the message is only a warning.
    pub(super) rejected: usize,
    /// Why, in the collector's words.
    pub(super) message: String,
}

/// An encoded request with these spans.
pub(super) fn spans(batch: Vec<SpanData>, resource: &ResourceAttributesWithSchema, redactor: &Redactor) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(batch, resource) };
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    scopes.flat_map(|scope| &mut scope.spans).for_each(|span| redact_span(span, redactor));
    request.encode_to_vec()
}

/// An encoded request with these log records.
pub(super) fn logs(batch: &LogBatch<'_>, resource: &ResourceAttributesWithSchema, redactor: &Redactor) -> Vec<u8> {
    let mut request = ExportLogsServiceRequest { resource_logs: group_logs_by_resource_and_scope(batch, resource) };
    let scopes = request.resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs);
    for record in scopes.flat_map(|scope| &mut scope.log_records) {
        redact_record(record, redactor);
        // The bridge from `tracing` sets no time, and names events after the line of code that they come from.
        if record.time_unix_nano == 0 {
            record.time_unix_nano = record.observed_time_unix_nano;
        }
        if record.event_name.starts_with("event ") {
            record.event_name.clear();
        }
    }
    request.encode_to_vec()
}

/// An encoded request with these metrics.
pub(super) fn metrics(
    mut metrics: Vec<Metric>,
    resource: &ResourceAttributesWithSchema,
    redactor: &Redactor,
) -> Vec<u8> {
    for metric in &mut metrics {
        redact_points(metric, redactor);
    }
    let schema_url = resource.schema_url.clone().unwrap_or_default();
    let scope = InstrumentationScope {
        name: "glasshouse".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: resource.attributes.0.clone(), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: schema_url.clone() }],
            schema_url,
        }],
    };
    request.encode_to_vec()
}

/// The outcome in an answer to [`spans`].
pub(super) fn spans_answer(answer: &[u8]) -> Result<PartialSuccess, DecodeError> {
    let partial = ExportTraceServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
    Ok(partial_success(partial.rejected_spans, partial.error_message))
}

/// The outcome in an answer to [`logs`].
pub(super) fn logs_answer(answer: &[u8]) -> Result<PartialSuccess, DecodeError> {
    let partial = ExportLogsServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
    Ok(partial_success(partial.rejected_log_records, partial.error_message))
}

/// The outcome in an answer to [`metrics`].
pub(super) fn metrics_answer(answer: &[u8]) -> Result<PartialSuccess, DecodeError> {
    let partial = ExportMetricsServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
    Ok(partial_success(partial.rejected_data_points, partial.error_message))
}

fn partial_success(rejected: i64, mut message: String) -> PartialSuccess {
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
        message.truncate(end);
    }
    PartialSuccess { rejected: usize::try_from(rejected).unwrap_or_default(), message }
}

fn redact_span(span: &mut Span, redactor: &Redactor) {
    redactor.redact(&mut span.name);
    redact_attributes(&mut span.attributes, redactor);
    for event in &mut span.events {
        redactor.redact(&mut event.name);
        redact_attributes(&mut event.attributes, redactor);
    }
    for link in &mut span.links {
        redact_attributes(&mut link.attributes, redactor);
    }
    if let Some(status) = &mut span.status {
        redactor.redact(&mut status.message);
    }
}

fn redact_points(metric: &mut Metric, redactor: &Redactor) {
    let redact = |attributes: &mut Vec<KeyValue>| redact_attributes(attributes, redactor);
    match &mut metric.data {
        Some(Data::Sum(sum)) => sum.data_points.iter_mut().for_each(|point| redact(&mut point.attributes)),
        Some(Data::Gauge(gauge)) => gauge.data_points.iter_mut().for_each(|point| redact(&mut point.attributes)),
        Some(Data::Histogram(it)) => it.data_points.iter_mut().for_each(|point| redact(&mut point.attributes)),
        Some(Data::ExponentialHistogram(it)) => {
            it.data_points.iter_mut().for_each(|point| redact(&mut point.attributes));
        }
        _ => {}
    }
}

/// Gives attributes the names that the catalogue has for exported records: fields of the log have short ones.
fn name_attributes(record: &mut LogRecord) {
    for one in &mut record.attributes {
        if let Cow::Owned(name) = catalog::attribute(&one.key) {
            one.key = name;
        }
    }
}

fn redact_record(record: &mut LogRecord, redactor: &Redactor) {
    name_attributes(record);
    if let Some(body) = &mut record.body {
        redact_value(body, redactor);
    }
    redact_attributes(&mut record.attributes, redactor);
}

fn redact_attributes(attributes: &mut [KeyValue], redactor: &Redactor) {
    for value in attributes.iter_mut().filter_map(|attribute| attribute.value.as_mut()) {
        redact_value(value, redactor);
    }
}

fn redact_value(value: &mut AnyValue, redactor: &Redactor) {
    match &mut value.value {
        Some(Value::StringValue(text)) => redactor.redact(text),
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(|value| redact_value(value, redactor)),
        Some(Value::KvlistValue(list)) => redact_attributes(&mut list.values, redactor),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use prost::Message;

    use super::{PartialSuccess, logs_answer, spans_answer};

    #[test]
    fn answer_says_how_many_items_were_rejected() {
        let answer = |rejected_spans, error_message: &str| {
            let partial = ExportTracePartialSuccess { rejected_spans, error_message: error_message.to_owned() };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        };
        let read = |rejected, message: &str| PartialSuccess { rejected, message: message.to_owned() };
        assert_eq!(spans_answer(&[]).unwrap(), PartialSuccess::default());
        assert_eq!(spans_answer(&answer(3, "quota")).unwrap(), read(3, "quota"));
        assert_eq!(logs_answer(&answer(3, "quota")).unwrap(), read(3, "quota"), "both messages have the same fields");
        assert_eq!(spans_answer(&answer(-1, "")).unwrap(), PartialSuccess::default());
        assert_eq!(spans_answer(&answer(1, &"é".repeat(1000))).unwrap(), read(1, &"é".repeat(500)));
        assert!(spans_answer(b"\xff\xff").is_err());
    }
}
