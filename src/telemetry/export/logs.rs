//! Log records on their way to the collector.

use std::time::Duration;

use opentelemetry::{
    InstrumentationScope,
    logs::{LogRecord, Severity},
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, SdkLogRecord, SdkLoggerProvider,
    },
};

use super::{
    ExportError, Outage,
    client::CollectorClient,
    counted::{Account, LOGS},
    message, resource, size,
};
use crate::telemetry::{BatchedExport, Config, Metrics, Redactor, Request};

/// What turns log records into exports; none where there is no collector. Its families exist in any case.
pub(in crate::telemetry) fn logger_provider(
    config: &Config,
    outage: &Outage,
    redactor: &Redactor,
    metrics: &Metrics,
) -> Result<Option<SdkLoggerProvider>, ExportError> {
    let account = Account::new(&LOGS, config.logs.as_ref().map_or(0, |export| export.queue), metrics);
    let Some(export) = &config.logs else { return Ok(None) };
    let resource = resource(config);
    let exporter = OtlpExporter {
        client: CollectorClient::new(&export.export, message::LOGS_METHOD)
            .map_err(|reason| ExportError { signal: "logs", reason })?,
        resource: (&resource).into(),
        redactor: redactor.clone(),
        outage: outage.clone(),
        account: account.clone(),
    };
    let batches = BatchLogProcessor::builder(exporter).with_batch_config(batch_config(export)).build();
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(CountedProcessor { inner: batches, account })
        .with_resource(resource)
        .build();
    Ok(Some(provider))
}

fn batch_config(export: &BatchedExport) -> opentelemetry_sdk::logs::BatchConfig {
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
        Request::with_current(|request| {
            record.add_attribute("request_id", request.id().to_owned());
            if let Some(user) = request.user() {
                record.add_attribute("user.id", user.to_owned());
            }
        });
        if self.account.enqueue(size::record(record)) {
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
struct OtlpExporter {
    client: CollectorClient,
    resource: ResourceAttributesWithSchema,
    redactor: Redactor,
    outage: Outage,
    account: Account,
}

impl LogExporter for OtlpExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let items = batch.iter().count();
        let bytes = batch.iter().map(|(record, _)| size::record(record)).sum();
        let outcome = match self.outage.refusal() {
            Ok(()) => {
                let request = message::logs(&batch, &self.resource, &self.redactor);
                self.client.send(request).await.map(|answer| message::logs_answer(&answer).unwrap_or_default())
            }
            Err(refused) => Err(refused),
        };
        self.account.exported(items, bytes, outcome)
    }
}
