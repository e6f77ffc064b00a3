//! The series of one family: found by their label values, never more than the cap.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::SystemTime,
};

use hashbrown::Equivalent;
use prometheus::{IntCounter, IntGauge};

use super::catalog::Metric;

/// What every label value becomes once a family is full.
pub const OVERFLOW: &str = "_overflow";

/// One family's series.
///
/// Without a cap, a label that a client can influence grows memory without bound: here the series beyond it fold
/// into one whose every label is `_overflow`, and each observation that lands there is counted.
pub(super) struct Series<T> {
    metric: &'static Metric,
    recording: bool,
    max: usize,
    index: RwLock<Index<T>>,
    count: IntGauge,
    overflow: IntCounter,
    make: Make<T>,
}

type Index<T> = hashbrown::HashMap<Kept, Made<T>>;

/// A series, and when it was made.
struct Made<T> {
    series: Arc<T>,
    at: SystemTime,
}

/// Label values as they are kept.
type Kept = Box<[Box<str>]>;
type Make<T> = Box<dyn Fn(&[&str]) -> T + Send + Sync>;

impl<T> Series<T> {
    pub(super) fn new(
        metric: &'static Metric,
        recording: bool,
        max: usize,
        count: IntGauge,
        overflow: IntCounter,
        make: impl Fn(&[&str]) -> T + Send + Sync + 'static,
    ) -> Self {
        Self { metric, recording, max, index: RwLock::default(), count, overflow, make: Box::new(make) }
    }

    /// Whether anything is observed at all.
    pub(super) const fn is_recording(&self) -> bool {
        self.recording
    }

    pub(super) const fn metric(&self) -> &'static Metric {
        self.metric
    }

    /// Does something with the series of these label values, which is made if need be and allowed. It must not wait,
    /// nor ask for another series of this family.
    pub(super) fn with<R>(&self, labels: &[&str], act: impl FnOnce(&Arc<T>) -> R) -> R {
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "{}", self.metric.name);
        // Inside of the lock, which is a reader's: counting a reference would be one more word that all cores write.
        if let Some(found) = self.read().get(&Labels(labels)) {
            return act(&found.series);
        }
        act(&self.make(labels))
    }

    fn make(&self, labels: &[&str]) -> Arc<T> {
        let folded = vec![OVERFLOW; labels.len()];
        let is_full = |index: &Index<T>| index.len() >= self.max && !labels.is_empty();
        {
            // A family that is full stays so, and its observations must not wait for each other.
            let index = self.read();
            if let Some(found) = index.get(&Labels(&folded)).filter(|_| is_full(&index)) {
                self.overflow.inc();
                return Arc::clone(&found.series);
            }
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = index.get(&Labels(labels)) {
            return Arc::clone(&found.series);
        }
        let labels = if is_full(&index) {
            self.overflow.inc();
            folded.as_slice()
        } else {
            labels
        };
        if let Some(found) = index.get(&Labels(labels)) {
            return Arc::clone(&found.series);
        }
        let series = Arc::new((self.make)(labels));
        #[expect(clippy::disallowed_methods, reason = "the start of a series is no business of the domain's clock")]
        let made = Made { series: Arc::clone(&series), at: SystemTime::now() };
        index.insert(labels.iter().map(|&value| value.into()).collect(), made);
        self.count.set(i64::try_from(index.len()).unwrap_or(i64::MAX));
        series
    }

    /// The series of these label values, if it was made.
    pub(super) fn find(&self, labels: &[&str]) -> Option<Arc<T>> {
        self.read().get(&Labels(labels)).map(|made| Arc::clone(&made.series))
    }

    /// When the series of these label values was made.
    pub(super) fn created(&self, labels: &[&str]) -> Option<SystemTime> {
        self.read().get(&Labels(labels)).map(|made| made.at)
    }

    fn read(&self) -> RwLockReadGuard<'_, Index<T>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Label values as they are asked for, comparable with those that are kept without copying them.
struct Labels<'a>(&'a [&'a str]);

impl Hash for Labels<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `Kept` hashes itself: the length, then each string.
        self.0.hash(state);
    }
}

impl Equivalent<Kept> for Labels<'_> {
    fn equivalent(&self, key: &Kept) -> bool {
        self.0.iter().copied().eq(key.iter().map(AsRef::as_ref))
    }
}
