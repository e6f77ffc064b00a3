//! Metrics on their way to the collector: all of the registry, at regular intervals, from a thread of its own.

mod earlier;
mod points;

use std::{
    panic::{self, AssertUnwindSafe},
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
                Err(RecvTimeoutError::Timeout) => drop(self.try_export()),
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(Stop(done)) => {
                    done.send(self.try_export()).ok();
                    return;
                }
            }
        }
    }

    /// Whether the collector took them. A panic, which the panic hook counts, costs this export and not the next ones: what
    /// the differences begin with changes only at the end.
    fn try_export(&mut self) -> bool {
        panic::catch_unwind(AssertUnwindSafe(|| self.export())).unwrap_or(false)
    }

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

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicBool, Ordering::SeqCst},
            mpsc,
        },
        thread,
        time::Duration,
    };

    use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
    use tokio::runtime::Handle;

    use super::{Earlier, Exporter, Exports, Outage};
    use crate::telemetry::{
        Export, Metrics, MetricsExport, Protocol, Reading, Redactor, Temporality, Tls, catalog,
        export::{client::CollectorClient, message},
    };

    #[tokio::test]
    async fn panic_in_one_export_costs_that_export_and_no_other() {
        let metrics = Metrics::new(100);
        let first = AtomicBool::new(true);
        metrics.register(Reading::new(&catalog::LIMIT_CLIENTS, move |_| {
            assert!(!first.swap(false, SeqCst), "on purpose");
        }));
        let export = Export {
            endpoint: "http://127.0.0.1:1/v1/metrics".parse().unwrap(),
            protocol: Protocol::HttpProtobuf,
            headers: Vec::new(),
            tls: Tls::default(),
            gzip: false,
            timeout: Duration::from_secs(1),
        };
        let (failed, exports) = mpsc::channel();
        let outage = Outage::default();
        outage.begin(move || {
            failed.send(()).ok();
        });
        let exporter = Exporter {
            client: CollectorClient::new(&export, message::METRICS_METHOD).unwrap(),
            runtime: Handle::current(),
            settings: MetricsExport {
                export,
                interval: Duration::from_millis(1),
                temporality: Temporality::Delta,
                exponential: false,
            },
            resource: ResourceAttributesWithSchema::default(),
            redactor: Redactor::new([]),
            outage,
            exports: Exports::new("metrics", &catalog::METRIC_POINTS_EXPORTED, &metrics),
            metrics,
            earlier: Earlier::start(),
        };
        let (stop, stops) = mpsc::channel();
        let running = thread::spawn(move || exporter.run(&stops));
        // The first export panics before it gets here.
        exports.recv().expect("an export after the panic");
        drop(stop);
        running.join().unwrap();
    }
}
