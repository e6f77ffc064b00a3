//! Observations in exponential buckets, as Prometheus' native histograms and OTLP's exponential histograms have them.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Eight buckets from a number to its double, each 9 % wide: Prometheus' `schema`, OTLP's `scale`.
pub(super) const SCHEMA: i32 = 3;
const PER_DOUBLING: i32 = 1 << SCHEMA;
/// The powers of two between which values have a bucket: a microsecond to 34 years, or a byte to a gibibyte.
const EXPONENTS: std::ops::Range<i32> = -20..30;
/// What is not above this counts as zero: 2^-20.
pub(super) const ZERO_THRESHOLD: f64 = 1.0 / (1024.0 * 1024.0);
const BUCKETS: usize = 50 * 8;
/// 2^(i/8 - 1): where the buckets of the numbers from 0.5 to 1 end.
const BOUNDS: [f64; PER_DOUBLING as usize] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_4,
    0.917_004_043_204_671_1,
];

/// Counts of one series, in 3.2 kB whatever is observed. An observation is one atomic addition.
pub(super) struct NativeHistogram {
    zero: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

/// What was counted at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// How many observations were not above [`ZERO_THRESHOLD`].
    pub(super) zero: u64,
    /// The buckets with observations, by index: that of index `i` ends, inclusively, at 2^(i / 8).
    pub(super) buckets: Vec<(i32, u64)>,
}

impl Snapshot {
    /// What was counted since an earlier snapshot of the same histogram.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before: HashMap<i32, u64> = earlier.buckets.iter().copied().collect();
        let added = self
            .buckets
            .iter()
            .map(|&(index, count)| (index, count.saturating_sub(before.get(&index).copied().unwrap_or_default())));
        Self { zero: self.zero.saturating_sub(earlier.zero), buckets: added.filter(|(_, count)| *count > 0).collect() }
    }

    pub(super) fn count(&self) -> u64 {
        self.zero + self.buckets.iter().map(|(_, count)| count).sum::<u64>()
    }
}

impl NativeHistogram {
    pub(super) fn new() -> Self {
        Self { zero: AtomicU64::new(0), buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Counts a value. One that is too large for every bucket, or no number, counts in the last one.
    pub(super) fn observe(&self, value: f64) {
        let counter = if value <= ZERO_THRESHOLD { &self.zero } else { &self.buckets[place(value)] };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let counts = (FIRST..).zip(self.buckets.iter().map(|count| count.load(Relaxed)));
        Snapshot { zero: self.zero.load(Relaxed), buckets: counts.filter(|(_, count)| *count > 0).collect() }
    }
}

/// The index of the first bucket: the one after that which ends at 2^-20.
const FIRST: i32 = EXPONENTS.start * PER_DOUBLING + 1;

/// Which bucket holds a value above the threshold.
fn place(value: f64) -> usize {
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or(i32::MAX) - 1022;
    // The same digits, between 0.5 and 1.
    let fraction = f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52);
    let within = BOUNDS.partition_point(|bound| *bound < fraction);
    let index = (exponent - 1) * PER_DOUBLING + i32::try_from(within).unwrap_or(0);
    usize::try_from(index - FIRST).unwrap_or(0).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FIRST, NativeHistogram, Snapshot, ZERO_THRESHOLD};

    fn bucket_of(value: f64) -> Snapshot {
        let histogram = NativeHistogram::new();
        histogram.observe(value);
        histogram.snapshot()
    }

    proptest! {
        #[test]
        fn value_lies_between_the_bounds_of_its_bucket(value in 1e-6..1e9_f64) {
            let snapshot = bucket_of(value);
            let index = f64::from(snapshot.buckets[0].0);
            let (lower, upper) = (((index - 1.0) / 8.0).exp2(), (index / 8.0).exp2());
            // The bounds themselves are only as exact as a power is.
            prop_assert!(lower * (1.0 - 1e-12) < value && value <= upper * (1.0 + 1e-12), "{lower} {value} {upper}");
        }

        #[test]
        fn every_number_is_counted_once(value: f64) {
            prop_assert_eq!(bucket_of(value).count(), 1);
        }
    }

    #[test]
    fn power_of_two_ends_its_bucket() {
        for (value, index) in [(1.0, 0), (2.0, 8), (0.5, -8), (1.01, 1), (1.99, 8)] {
            assert_eq!(bucket_of(value).buckets, [(index, 1)], "{value}");
        }
    }

    #[test]
    fn values_beyond_all_buckets_count_at_the_ends() {
        let last = FIRST + 399;
        for value in [1e300, f64::INFINITY, f64::NAN] {
            assert_eq!(bucket_of(value).buckets, [(last, 1)], "{value}");
        }
        for value in [0.0, -1.0, ZERO_THRESHOLD, f64::NEG_INFINITY] {
            assert_eq!(bucket_of(value), Snapshot { zero: 1, buckets: Vec::new() }, "{value}");
        }
    }
}
