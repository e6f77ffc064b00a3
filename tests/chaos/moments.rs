//! Time as these tests need it: clients pause, faults last, and what nobody announces is looked for.

use std::time::{Duration, Instant};

use crate::random::Random;

/// A client between two requests.
pub(crate) async fn thought() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// A client after trouble. Real ones wait for a second, as `Retry-After` says; these are to see when it is over.
pub(crate) async fn breath() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A moment that nothing leads up to, at most so far away.
pub(crate) async fn any(chance: &mut Random, within: Duration) {
    let micros = u64::try_from(within.as_micros()).unwrap();
    tokio::time::sleep(Duration::from_micros(chance.below(micros))).await;
}

/// Looks again and again; fails when the time is over.
pub(crate) async fn within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
