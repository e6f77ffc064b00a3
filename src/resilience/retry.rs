//! Trying again: a little later, not often, and never so much that it makes an outage worse.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::backoff::{Backoff, chance};
use crate::telemetry::Counter;

/// What one call adds to the budget, where a retry takes [`WHOLE`]: over time at most one call in ten is tried again.
const SHARE: i64 = 100;
const WHOLE: i64 = 1000;
/// What the budget holds at first and at most: as many retries as a pool may lose connections at once.
const FULL: i64 = 20 * WHOLE;
/// How often one call is tried again.
const AGAIN: u32 = 2;

/// Values of the label `outcome`.
const OUTCOMES: [&str; 2] = [TRIED, OVER_BUDGET];
const TRIED: &str = "tried";
const OVER_BUDGET: &str = "over_budget";

/// The retries of all calls to one dependency, and the budget that they share.
pub struct Retries {
    budget: AtomicI64,
    backoff: Backoff,
    counter: Counter,
}

impl Retries {
    /// A full budget. The counter has the label `outcome`, and its series appear at zero.
    #[must_use]
    pub fn new(backoff: Backoff, counter: Counter) -> Self {
        for outcome in OUTCOMES {
            counter.add(&[outcome], 0);
        }
        Self { budget: AtomicI64::new(FULL), backoff, counter }
    }

    /// A call begins; it may be tried again.
    pub fn call(&self) -> Tries<'_> {
        // Several at once may overfill it by their own shares; the next call brings it back.
        if self.budget.load(Relaxed) < FULL {
            self.budget.fetch_add(SHARE, Relaxed);
        }
        Tries { retries: self, made: 0 }
    }

    fn take(&self) -> bool {
        let taken = self.budget.try_update(Relaxed, Relaxed, |left| (left >= WHOLE).then_some(left - WHOLE));
        self.counter.inc(&[if taken.is_ok() { TRIED } else { OVER_BUDGET }]);
        taken.is_ok()
    }
}

/// One call, and how often it was tried again.
pub struct Tries<'a> {
    retries: &'a Retries,
    made: u32,
}

impl Tries<'_> {
    /// Waits a little and says that the call may be made again; or says at once that it may not.
    pub async fn again(&mut self) -> bool {
        if self.made == AGAIN || !self.retries.take() {
            return false;
        }
        tokio::time::sleep(self.retries.backoff.wait(self.made, chance())).await;
        self.made += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AGAIN, Backoff, Retries};
    use crate::telemetry::{Metrics, catalog};

    fn retries(first: Duration) -> Retries {
        let backoff = Backoff { first, longest: Duration::from_millis(50) };
        Retries::new(backoff, Metrics::new(10).counter(&catalog::STORE_RETRIES))
    }

    #[tokio::test]
    async fn one_call_is_tried_again_twice_and_never_at_once() {
        let retries = retries(Duration::from_millis(10));
        let mut tries = retries.call();
        for _ in 0..AGAIN {
            let before = std::time::Instant::now();
            assert!(tries.again().await);
            assert!(before.elapsed() >= Duration::from_millis(5));
        }
        assert!(!tries.again().await);
    }

    #[tokio::test]
    async fn an_outage_is_made_worse_by_a_tenth_and_no_more() {
        let retries = retries(Duration::ZERO);
        let mut made = 0;
        for _ in 0..10_000 {
            let mut tries = retries.call();
            while tries.again().await {
                made += 1;
            }
        }
        assert!((1000..=1021).contains(&made), "{made} retries of 10000 calls");
    }

    #[tokio::test]
    async fn a_budget_that_is_spent_fills_up_again_and_does_not_overflow() {
        let retries = retries(Duration::ZERO);
        while retries.call().again().await {}
        for _ in 0..100_000 {
            retries.call();
        }
        let mut made = 0;
        while retries.call().again().await {
            made += 1;
        }
        assert!((20..=23).contains(&made), "{made}");
    }
}
