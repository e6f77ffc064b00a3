//! Spans on their way to the collector.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
    },
};

use super::{
    ExportError, Outage,
    client::CollectorClient,
    counted::{Account, SPANS},
    message, resource, size,
};
use crate::telemetry::{BatchedExport, Config, Metrics, Redactor, traces::DecidedIds};

/// What turns spans into exports; none where there is no collector. Its families exist in any case.
pub(in crate::telemetry) fn tracer_provider(
    config: &Config,
    outage: &Outage,
    redactor: &Redactor,
    metrics: &Metrics,
) -> Result<Option<SdkTracerProvider>, ExportError> {
    let account = Account::new(&SPANS, config.traces.as_ref().map_or(0, |export| export.queue), metrics);
    let Some(export) = &config.traces else { return Ok(None) };
    let resource = resource(config);
    let exporter = OtlpExporter {
        client: CollectorClient::new(&export.export, message::SPANS_METHOD)
            .map_err(|reason| ExportError { signal: "spans", reason })?,
        resource: (&resource).into(),
        redactor: redactor.clone(),
        outage: outage.clone(),
        account: account.clone(),
    };
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batch_config(export)).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(CountedProcessor { inner: batches, account })
        // The sampler is asked at the edge, before a span is built; whatever gets here is wanted.
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(DecidedIds::default())
        .with_resource(resource)
        .build();
    Ok(Some(provider))
}

fn batch_config(export: &BatchedExport) -> opentelemetry_sdk::trace::BatchConfig {
    BatchConfigBuilder::default()
        .with_max_queue_size(export.queue)
        .with_max_export_batch_size(export.batch)
        .with_scheduled_delay(export.delay)
        .build()
}

#[derive(Debug)]
struct CountedProcessor {
    inner: BatchSpanProcessor,
    account: Account,
}

impl SpanProcessor for CountedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.account.enqueue(size::span(&span)) {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.account.close();
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[derive(Debug)]
struct OtlpExporter {
    client: CollectorClient,
    resource: ResourceAttributesWithSchema,
    redactor: Redactor,
    outage: Outage,
    account: Account,
}

impl SpanExporter for OtlpExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (items, bytes) = (batch.len(), batch.iter().map(size::span).sum());
        let outcome = match self.outage.refusal() {
            Ok(()) => {
                let request = message::spans(batch, &self.resource, &self.redactor);
                self.client.send(request).await.map(|answer| message::spans_answer(&answer).unwrap_or_default())
            }
            Err(refused) => Err(refused),
        };
        self.account.exported(items, bytes, outcome)
    }
}
