//! What becomes of each item: queued or dropped, exported or failed. And one log line when the collector goes, one
//! when it comes back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use crate::telemetry::{
    Counter, Gauge, Metrics,
    catalog::{self, Metric},
};

/// The account of one signal's way out. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Account(Arc<Inner>);

struct Inner {
    signal: &'static str,
    capacity: usize,
    /// Queued, or on its way to the collector right now: what is in memory.
    waiting: AtomicUsize,
    closed: AtomicBool,
    failing: AtomicBool,
    processed: Counter,
    exported: Counter,
    queue: Gauge,
}

/// Which families an account writes to.
pub(in crate::telemetry) struct Families {
    signal: &'static str,
    processed: &'static Metric,
    exported: &'static Metric,
    size: &'static Metric,
    capacity: &'static Metric,
}

pub(in crate::telemetry) const SPANS: Families = Families {
    signal: "spans",
    processed: &catalog::SPANS_PROCESSED,
    exported: &catalog::SPANS_EXPORTED,
    size: &catalog::SPAN_QUEUE_SIZE,
    capacity: &catalog::SPAN_QUEUE_CAPACITY,
};

pub(in crate::telemetry) const LOGS: Families = Families {
    signal: "logs",
    processed: &catalog::LOGS_PROCESSED,
    exported: &catalog::LOGS_EXPORTED,
    size: &catalog::LOG_QUEUE_SIZE,
    capacity: &catalog::LOG_QUEUE_CAPACITY,
};

/// OpenTelemetry's `error.type` for an item that a full queue refused, and for one that came too late.
const QUEUE_FULL: &str = "queue_full";
const ALREADY_SHUTDOWN: &str = "already_shutdown";

impl Account {
    /// An account of a queue with so many places; 0 where nothing is exported.
    pub(in crate::telemetry) fn new(families: &Families, capacity: usize, metrics: &Metrics) -> Self {
        let processed = metrics.counter(families.processed);
        let exported = metrics.counter(families.exported);
        for error_type in ["", QUEUE_FULL, ALREADY_SHUTDOWN] {
            processed.add(&[error_type], 0);
        }
        for error_type in ["", "timeout", "failed", "shutdown"] {
            exported.add(&[error_type], 0);
        }
        #[expect(clippy::cast_precision_loss, reason = "a queue has fewer than 2^52 places")]
        metrics.gauge(families.capacity).set(&[], capacity as f64);
        let queue = metrics.gauge(families.size);
        Self(Arc::new(Inner {
            signal: families.signal,
            capacity,
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            processed,
            exported,
            queue,
        }))
    }

    /// Takes a place in the queue for one item; without one, the item is dropped and counted.
    ///
    /// The SDK's queue has as many places, and an item keeps its own until its export has ended, so the SDK never
    /// has to drop one uncounted.
    pub(super) fn enqueue(&self) -> bool {
        if self.0.closed.load(SeqCst) {
            self.0.processed.inc(&[ALREADY_SHUTDOWN]);
            return false;
        }
        let taken = self.0.waiting.fetch_update(SeqCst, SeqCst, |n| (n < self.0.capacity).then_some(n + 1));
        let outcome = if taken.is_ok() { "" } else { QUEUE_FULL };
        self.0.processed.inc(&[outcome]);
        self.show();
        taken.is_ok()
    }

    /// From now on nothing takes a place: nobody is left who would give it back.
    pub(super) fn close(&self) {
        self.0.closed.store(true, SeqCst);
    }

    /// The export of so many items has ended so.
    pub(super) fn exported(&self, items: usize, result: &OTelSdkResult) {
        self.0.waiting.fetch_sub(items, SeqCst);
        self.show();
        let outcome = match result {
            Ok(()) => "",
            Err(OTelSdkError::Timeout(_)) => "timeout",
            Err(OTelSdkError::AlreadyShutdown) => "shutdown",
            Err(OTelSdkError::InternalFailure(_)) => "failed",
        };
        self.0.exported.add(&[outcome], items as u64);
        self.say(result);
    }

    #[expect(clippy::cast_precision_loss, reason = "a queue has fewer than 2^52 places")]
    fn show(&self) {
        self.0.queue.set(&[], self.0.waiting.load(SeqCst) as f64);
    }

    fn say(&self, result: &OTelSdkResult) {
        let signal = self.0.signal;
        match result {
            Err(error) if !self.0.failing.swap(true, SeqCst) => tracing::warn!(
                target: super::TARGET,
                { otel.signal = signal, error.message = %error },
                "exporting fails: it is tried again, what the queue has no room for is dropped and counted"
            ),
            Ok(()) if self.0.failing.swap(false, SeqCst) => {
                tracing::info!(target: super::TARGET, { otel.signal = signal }, "exporting works again");
            }
            _ => {}
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.signal)
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, SPANS};
    use crate::telemetry::Metrics;

    fn values(metrics: &Metrics, family: &str) -> Vec<String> {
        let families = metrics.gather();
        let family = families.iter().find(|known| known.name() == family).unwrap();
        let series = family.get_metric().iter().map(|series| match series.get_label().first() {
            Some(label) => format!("{}={}", label.value(), series.get_counter().get_value()),
            None => series.get_gauge().get_value().to_string(),
        });
        series.collect()
    }

    #[test]
    fn every_item_has_one_outcome_and_only_what_is_in_memory_waits() {
        let metrics = Metrics::new(10);
        let account = Account::new(&SPANS, 2, &metrics);
        assert_eq!([account.enqueue(), account.enqueue(), account.enqueue()], [true, true, false]);
        account.exported(1, &Ok(()));
        account.close();
        assert!(!account.enqueue(), "nobody would ever export it");
        let processed = values(&metrics, "otel_sdk_processor_span_processed_total");
        assert_eq!(processed, ["=2", "already_shutdown=1", "queue_full=1"]);
        assert_eq!(values(&metrics, "otel_sdk_processor_span_queue_size"), ["1"]);
    }
}
