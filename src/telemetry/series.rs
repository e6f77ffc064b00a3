//! The series of one family: found by their label values, never more than the cap.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, PoisonError, RwLock},
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
    index: RwLock<hashbrown::HashMap<Kept, Arc<T>>>,
    count: IntGauge,
    overflow: IntCounter,
    make: Make<T>,
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

    /// The series of these label values, made if need be and allowed.
    pub(super) fn with(&self, labels: &[&str]) -> Arc<T> {
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "{}", self.metric.name);
        if let Some(found) = self.find(labels) {
            return found;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let full = index.len() >= self.max;
        let folded = vec![OVERFLOW; labels.len()];
        let labels = if full && !labels.is_empty() {
            self.overflow.inc();
            folded.as_slice()
        } else {
            labels
        };
        if let Some(found) = index.get(&Labels(labels)) {
            return Arc::clone(found);
        }
        let made = Arc::new((self.make)(labels));
        index.insert(labels.iter().map(|&value| value.into()).collect(), Arc::clone(&made));
        self.count.set(i64::try_from(index.len()).unwrap_or(i64::MAX));
        made
    }

    /// The series of these label values, if it was made.
    pub(super) fn find(&self, labels: &[&str]) -> Option<Arc<T>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).get(&Labels(labels)).map(Arc::clone)
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
