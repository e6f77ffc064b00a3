//! Spans on their way to the collector.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
    },
};

use super::{
    ExportError, Outage, collector,
    counted::{Account, SPANS},
    resource,
};
use crate::telemetry::{Config, Export, Metrics, traces::DecidedIds};

/// What turns spans into exports; none where there is no collector. Its families exist in any case.
pub(in crate::telemetry) fn tracer_provider(
    config: &Config,
    outage: &Outage,
    metrics: &Metrics,
) -> Result<Option<SdkTracerProvider>, ExportError> {
    let account = Account::new(&SPANS, config.traces.as_ref().map_or(0, |export| export.queue), metrics);
    let Some(export) = &config.traces else { return Ok(None) };
    let exporter =
        CountedExporter { inner: collector::span_exporter(export)?, outage: outage.clone(), account: account.clone() };
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batch_config(export)).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(CountedProcessor { inner: batches, account })
        // The sampler is asked at the edge, before a span is built; whatever gets here is wanted.
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(DecidedIds::default())
        .with_resource(resource(config))
        .build();
    Ok(Some(provider))
}

fn batch_config(export: &Export) -> opentelemetry_sdk::trace::BatchConfig {
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
        if span.span_context.is_sampled() && self.account.enqueue() {
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
struct CountedExporter {
    inner: Otlp,
    outage: Outage,
    account: Account,
}

impl SpanExporter for CountedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let items = batch.len();
        let result = match self.outage.refusal() {
            Ok(()) => self.inner.export(batch).await,
            refused => refused,
        };
        self.account.exported(items, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
