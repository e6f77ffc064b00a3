//! Counts at one moment, and what was added to them since an earlier one.

use std::{collections::HashMap, time::SystemTime};

use crate::telemetry::native::Snapshot;

/// The counts of the last export that arrived. It has no more series than the registry.
pub(super) struct Earlier {
    pub(super) at: SystemTime,
    pub(super) counts: HashMap<Series, Count>,
}

/// A family's name and the values of its labels.
pub(super) type Series = (&'static str, Vec<String>);

/// A counter or histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Count {
    /// A counter's value, or the sum of the observations.
    pub(super) total: f64,
    /// Observations in each of the catalogue's buckets, the last for `+Inf`; none of a counter.
    pub(super) buckets: Vec<u64>,
    /// The same in exponential buckets, where they are kept.
    pub(super) native: Option<Snapshot>,
}

impl Earlier {
    /// Nothing was exported yet.
    pub(super) fn start() -> Self {
        Self { at: now(), counts: HashMap::new() }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of an export is no business of the domain's clock")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

impl Count {
    /// What was added since.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before = earlier.buckets.iter().copied().chain(std::iter::repeat(0));
        Self {
            total: self.total - earlier.total,
            buckets: self.buckets.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect(),
            native: self.native.as_ref().map(|now| now.since(earlier.native.as_ref().unwrap_or(&Snapshot::default()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;
    use crate::telemetry::native::Snapshot;

    #[test]
    fn difference_has_what_was_added() {
        let count = |total, buckets: &[u64], zero, native: &[(i32, u64)]| Count {
            total,
            buckets: buckets.to_vec(),
            native: Some(Snapshot { zero, buckets: native.to_vec() }),
        };
        let earlier = count(1.5, &[1, 0, 2], 1, &[(-3, 1), (4, 2)]);
        let now = count(4.0, &[1, 1, 4], 3, &[(-3, 1), (2, 1), (4, 4)]);
        assert_eq!(now.since(&earlier), count(2.5, &[0, 1, 2], 2, &[(2, 1), (4, 2)]));
        assert_eq!(now.since(&Count::default()), now);
    }
}
