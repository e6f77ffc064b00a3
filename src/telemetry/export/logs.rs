//! Log records on their way to the collector.

use std::time::Duration;

use opentelemetry::{
    InstrumentationScope,
    logs::{LogRecord, Severity},
};
use opentelemetry_otlp::LogExporter as Otlp;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, SdkLogRecord, SdkLoggerProvider,
    },
};

use super::{
    ExportError, Outage, collector,
    counted::{Account, LOGS},
    resource,
};
use crate::telemetry::{Config, Export, Metrics, Request};

/// What turns log records into exports; none where there is no collector. Its families exist in any case.
pub(in crate::telemetry) fn logger_provider(
    config: &Config,
    outage: &Outage,
    metrics: &Metrics,
) -> Result<Option<SdkLoggerProvider>, ExportError> {
    let account = Account::new(&LOGS, config.logs.as_ref().map_or(0, |export| export.queue), metrics);
    let Some(export) = &config.logs else { return Ok(None) };
    let exporter =
        CountedExporter { inner: collector::log_exporter(export)?, outage: outage.clone(), account: account.clone() };
    let batches = BatchLogProcessor::builder(exporter).with_batch_config(batch_config(export)).build();
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(CountedProcessor { inner: batches, account })
        .with_resource(resource(config))
        .build();
    Ok(Some(provider))
}

fn batch_config(export: &Export) -> opentelemetry_sdk::logs::BatchConfig {
    BatchConfigBuilder::default()
        .with_max_queue_size(export.queue)
        .with_max_export_batch_size(export.batch)
        .with_scheduled_delay(export.delay)
        .build()
}

#[derive(Debug)]
struct CountedProcessor {
    inner: BatchLogProcessor,
    account: Account,
}

impl LogProcessor for CountedProcessor {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.account.enqueue() {
            Request::with_current(|request| {
                record.add_attribute("request_id", request.id().to_owned());
                if let Some(user) = request.user() {
                    record.add_attribute("user.id", user.to_owned());
                }
            });
            self.inner.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.account.close();
        self.inner.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.inner.event_enabled(level, target, name)
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

impl LogExporter for CountedExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let items = batch.iter().count();
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

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.inner.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
