//! How long to wait before the next attempt: longer each time, up to a bound, and never for all at the same moment.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Waits that double.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Backoff {
    /// The wait before another attempt, after so many earlier waits. `chance`, from 0 to 1, picks one between half of
    /// the doubled wait and the whole.
    #[must_use]
    pub fn wait(self, earlier: u32, chance: f64) -> Duration {
        let doubled = 2_u32.checked_pow(earlier).and_then(|factor| self.first.checked_mul(factor));
        let whole = doubled.unwrap_or(self.longest).min(self.longest);
        whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

/// A number from 0 to 1 that nobody can tell beforehand: each new state of the standard library's hasher has other keys.
#[must_use]
pub fn chance() -> f64 {
    let [.., a, b, c, d] = RandomState::new().hash_one(0_u8).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, chance};

    #[test]
    fn waits_double_up_to_a_bound_and_no_further() {
        let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) };
        let whole: Vec<_> = [0, 1, 2, 3, 4, 31, 32, u32::MAX].iter().map(|it| backoff.wait(*it, 1.0)).collect();
        assert_eq!(whole, [100, 200, 400, 800, 1000, 1000, 1000, 1000].map(Duration::from_millis));
        assert_eq!(backoff.wait(2, 0.0), Duration::from_millis(200), "half of it at least");
    }

    #[test]
    fn chances_differ_and_stay_between_nothing_and_all() {
        let chances: Vec<_> = (0..1000).map(|_| chance()).collect();
        assert!(chances.iter().all(|it| (0.0..=1.0).contains(it)));
        for (from, to) in [(0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)] {
            let count = chances.iter().filter(|it| (from..to).contains(*it)).count();
            assert!((150..350).contains(&count), "{count} of 1000 from {from} to {to}");
        }
    }
}
