//! One trace for each bucket of a histogram: the way from a point on a graph to a request that is behind it.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use super::SpanIds;

/// A value with the trace that it was observed in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exemplar {
    pub(super) trace: SpanIds,
    pub(super) value: f64,
    pub(super) at: SystemTime,
}

/// The newest exemplar of each bucket of one series.
pub(super) struct Exemplars {
    bounds: &'static [f64],
    /// One more than bounds: the last is `+Inf`.
    newest: Box<[Mutex<Option<Exemplar>>]>,
}

impl Exemplars {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, newest: (0..=bounds.len()).map(|_| Mutex::new(None)).collect() }
    }

    /// Keeps the trace for the value's bucket. Never waits: while the bucket is being read or written by another
    /// thread, that thread's exemplar is as good as this one.
    pub(super) fn remember(&self, value: f64, trace: SpanIds) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Ok(mut newest) = self.newest[bucket].try_lock() {
            #[expect(clippy::disallowed_methods, reason = "an exemplar's time is no business of the domain's clock")]
            let at = SystemTime::now();
            *newest = Some(Exemplar { trace, value, at });
        }
    }

    pub(super) fn newest(&self) -> Vec<Option<Exemplar>> {
        self.newest.iter().map(|newest| *newest.lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}
