//! Metrics on their way to the collector: all of the registry, at regular intervals, from a thread of its own.

mod earlier;
mod points;

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use tokio::runtime::Handle;

use self::{earlier::Earlier, points::Points};
use super::{
    ExportError, Outage,
    client::{CollectorClient, SendError},
    counted::Exports,
    message, resource,
};
use crate::telemetry::{Config, Metrics, MetricsExport, Redactor, catalog};

/// Sends all metrics once every interval. It ends when the last clone of it is dropped.
#[derive(Clone)]
pub(in crate::telemetry) struct MetricsExporter(Sender<Stop>);

/// Asks for the last export; the sender gets whether it arrived.
struct Stop(Sender<bool>);

/// Starts the exporter; none where metrics are not exported. Its counter exists in any case.
///
/// # Errors
/// When certificates or headers cannot be used, or the system gives no thread.
///
/// # Panics
/// Outside a tokio runtime.
pub(in crate::telemetry) fn metrics_exporter(
    config: &Config,
    outage: &Outage,
    redactor: &Redactor,
    metrics: &Metrics,
) -> Result<Option<MetricsExporter>, ExportError> {
    let exports = Exports::new("metrics", &catalog::METRIC_POINTS_EXPORTED, metrics);
    let Some(export) = &config.metrics else { return Ok(None) };
    let failed = |reason| ExportError { signal: "metrics", reason };
    let exporter = Exporter {
        client: CollectorClient::new(&export.export, message::METRICS_METHOD).map_err(failed)?,
        runtime: Handle::current(),
        settings: export.clone(),
        resource: (&resource(config)).into(),
        redactor: redactor.clone(),
        outage: outage.clone(),
        metrics: metrics.clone(),
        exports,
        earlier: Earlier::start(),
    };
    let (stop, stops) = mpsc::channel();
    thread::Builder::new()
        .name("otlp-metrics".to_owned())
        .spawn(move || exporter.run(&stops))
        .map_err(|error| failed(error.to_string()))?;
    Ok(Some(MetricsExporter(stop)))
}

impl MetricsExporter {
    /// Sends all metrics for the last time, at most for `budget`, and says whether they arrived.
    pub(in crate::telemetry) fn shutdown(&self, budget: Duration) -> bool {
        let (done, arrived) = mpsc::channel();
        self.0.send(Stop(done)).is_ok() && arrived.recv_timeout(budget).unwrap_or(false)
    }
}

struct Exporter {
    client: CollectorClient,
    runtime: Handle,
    settings: MetricsExport,
    resource: ResourceAttributesWithSchema,
    redactor: Redactor,
    outage: Outage,
    metrics: Metrics,
    exports: Exports,
    earlier: Earlier,
}

impl Exporter {
    fn run(mut self, stops: &mpsc::Receiver<Stop>) {
        loop {
            match stops.recv_timeout(self.settings.interval) {
                Err(RecvTimeoutError::Timeout) => drop(self.export()),
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(Stop(done)) => {
                    let arrived = self.export();
                    done.send(arrived).ok();
                    return;
                }
            }
        }
    }

    /// Whether the collector took them.
    fn export(&mut self) -> bool {
        let Points { metrics, count, earlier } = Points::read(&self.metrics, &self.settings, &self.earlier);
        let outcome = self.outage.refusal().and_then(|()| {
            let request = message::metrics(metrics, &self.resource, &self.redactor);
            let answer = self.runtime.block_on(self.client.send(request))?;
            Ok(message::metrics_answer(&answer).unwrap_or_default())
        });
        // What did not arrive is a part of the next differences. After a time limit it may have arrived, and counting it
        // twice would be worse than losing it.
        if !matches!(outcome, Err(SendError::Failed(_))) {
            self.earlier = earlier;
        }
        self.exports.record(count, outcome).is_ok()
    }
}
