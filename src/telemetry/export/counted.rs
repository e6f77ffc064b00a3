//! The outcome of each item: queued or dropped, exported, rejected or failed. One log line when exports begin to fail
//! or to be rejected, one when they work again.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::{client::SendError, message::PartialSuccess};
use crate::telemetry::{
    Counter, Gauge, Metrics,
    catalog::{self, Metric},
};

/// The account of one signal's way out. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Account(Arc<Inner>);

struct Inner {
    capacity: usize,
    /// Queued, or on its way to the collector right now: what is in memory.
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    closed: AtomicBool,
    processed: Counter,
    exports: Exports,
    queue: Gauge,
}

/// The outcomes of one signal's exports.
pub(super) struct Exports {
    signal: &'static str,
    health: Mutex<Health>,
    exported: Counter,
}

/// The state of exports, as far as it has been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Working,
    Rejected,
    Failing,
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

/// The most bytes of one signal's items in memory. An ordinary span takes one or two thousand.
const MAX_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// `error.type` of items whose export failed, was not answered in time, or was answered with their rejection.
const FAILED: &str = "failed";
const TIMEOUT: &str = "timeout";
const REJECTED: &str = "rejected";

impl Account {
    /// An account of a queue with so many places; 0 where nothing is exported.
    pub(in crate::telemetry) fn new(families: &Families, capacity: usize, metrics: &Metrics) -> Self {
        let processed = metrics.counter(families.processed);
        for error_type in ["", QUEUE_FULL, ALREADY_SHUTDOWN] {
            processed.add(&[error_type], 0);
        }
        #[expect(clippy::cast_precision_loss, reason = "a queue has fewer than 2^52 places")]
        metrics.gauge(families.capacity).set(&[], capacity as f64);
        let queue = metrics.gauge(families.size);
        Self(Arc::new(Inner {
            capacity,
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            processed,
            exports: Exports::new(families.signal, families.exported, metrics),
            queue,
        }))
    }

    /// Takes a place in the queue for one item of so many bytes; without one, the item is dropped and counted.
    ///
    /// The SDK's queue has as many places, and an item keeps its own until its export has ended, so the SDK never
    /// has to drop one uncounted.
    pub(super) fn enqueue(&self, bytes: usize) -> bool {
        if self.0.closed.load(SeqCst) {
            self.0.processed.inc(&[ALREADY_SHUTDOWN]);
            return false;
        }
        let has_room = self.0.waiting_bytes.fetch_add(bytes, SeqCst) + bytes <= MAX_QUEUE_BYTES
            && self.0.waiting.fetch_update(SeqCst, SeqCst, |n| (n < self.0.capacity).then_some(n + 1)).is_ok();
        if !has_room {
            self.0.waiting_bytes.fetch_sub(bytes, SeqCst);
        }
        self.0.processed.inc(&[if has_room { "" } else { QUEUE_FULL }]);
        self.show();
        has_room
    }

    /// From now on nothing takes a place: nobody is left who would give it back.
    pub(super) fn close(&self) {
        self.0.closed.store(true, SeqCst);
    }

    /// Counts and logs how the export of so many items, and so many bytes of them, ended.
    ///
    /// # Errors
    /// As the export, for the SDK.
    pub(super) fn exported(
        &self,
        items: usize,
        bytes: usize,
        outcome: Result<PartialSuccess, SendError>,
    ) -> OTelSdkResult {
        self.0.waiting.fetch_sub(items, SeqCst);
        self.0.waiting_bytes.fetch_sub(bytes, SeqCst);
        self.show();
        self.0.exports.record(items, outcome)
    }

    #[expect(clippy::cast_precision_loss, reason = "a queue has fewer than 2^52 places")]
    fn show(&self) {
        self.0.queue.set(&[], self.0.waiting.load(SeqCst) as f64);
    }
}

impl Exports {
    pub(super) fn new(signal: &'static str, exported: &'static Metric, metrics: &Metrics) -> Self {
        let exported = metrics.counter(exported);
        for error_type in ["", FAILED, TIMEOUT, REJECTED] {
            exported.add(&[error_type], 0);
        }
        Self { signal, health: Mutex::new(Health::Working), exported }
    }

    /// Counts and logs how the export of so many items ended.
    ///
    /// # Errors
    /// As the export, for the SDK.
    pub(super) fn record(&self, items: usize, outcome: Result<PartialSuccess, SendError>) -> OTelSdkResult {
        let (error_type, lost) = match &outcome {
            Ok(partial) => (REJECTED, partial.rejected.min(items)),
            Err(SendError::Timeout(_)) => (TIMEOUT, items),
            Err(SendError::Failed(_)) => (FAILED, items),
        };
        self.exported.add(&[error_type], lost as u64);
        self.exported.add(&[""], (items - lost) as u64);
        self.log(&outcome);
        outcome.map(drop).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }

    /// Writes a line where exports are in another state than the last line said.
    fn log(&self, outcome: &Result<PartialSuccess, SendError>) {
        let health = match outcome {
            Ok(partial) if *partial == PartialSuccess::default() => Health::Working,
            Ok(_) => Health::Rejected,
            Err(_) => Health::Failing,
        };
        let before = std::mem::replace(&mut *self.health.lock().unwrap_or_else(PoisonError::into_inner), health);
        if before == health {
            return;
        }
        let signal = self.signal;
        match outcome {
            Ok(partial) if health == Health::Rejected => tracing::warn!(
                target: super::TARGET,
                { otel.signal = signal, otel.rejected = partial.rejected, error.message = partial.message },
                "the collector rejects a part of what is exported: it is lost and counted"
            ),
            Ok(_) => tracing::info!(target: super::TARGET, { otel.signal = signal }, "exporting works again"),
            Err(error) => tracing::warn!(
                target: super::TARGET,
                { otel.signal = signal, error.message = %error },
                "exporting fails: it is tried again, what the queue has no room for is dropped and counted"
            ),
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.exports.signal)
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, MAX_QUEUE_BYTES, PartialSuccess, SPANS, SendError};
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
        assert_eq!([account.enqueue(1), account.enqueue(1), account.enqueue(1)], [true, true, false]);
        account.exported(1, 1, Ok(PartialSuccess::default())).unwrap();
        account.close();
        assert!(!account.enqueue(1), "nobody would ever export it");
        let processed = values(&metrics, "otel_sdk_processor_span_processed_total");
        assert_eq!(processed, ["=2", "already_shutdown=1", "queue_full=1"]);
        assert_eq!(values(&metrics, "otel_sdk_processor_span_queue_size"), ["1"]);
    }

    #[test]
    fn queue_is_bounded_in_bytes() {
        let account = Account::new(&SPANS, 100, &Metrics::new(10));
        assert!(account.enqueue(MAX_QUEUE_BYTES - 1));
        assert_eq!([account.enqueue(2), account.enqueue(1), account.enqueue(1)], [false, true, false]);
        account.exported(1, MAX_QUEUE_BYTES - 1, Ok(PartialSuccess::default())).unwrap();
        assert!(account.enqueue(2));
    }

    #[test]
    fn rejected_items_count_as_rejected_and_the_others_as_exported() {
        let metrics = Metrics::new(10);
        let account = Account::new(&SPANS, 16, &metrics);
        for _ in 0..16 {
            account.enqueue(1);
        }
        account.exported(5, 5, Ok(PartialSuccess { rejected: 2, message: String::new() })).unwrap();
        account.exported(4, 4, Ok(PartialSuccess { rejected: 9, message: String::new() })).unwrap();
        account.exported(3, 3, Ok(PartialSuccess { rejected: 0, message: "deprecated".to_owned() })).unwrap();
        account.exported(2, 2, Err(SendError::Timeout(String::new()))).unwrap_err();
        account.exported(1, 1, Err(SendError::Failed(String::new()))).unwrap_err();
        let exported = values(&metrics, "otel_sdk_exporter_span_exported_total");
        assert_eq!(exported, ["=6", "failed=1", "rejected=6", "timeout=2"]);
    }
}
