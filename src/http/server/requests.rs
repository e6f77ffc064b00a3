//! What one connection has asked for, and how much it has sent for that.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// What a connection may send for nothing: a preface, settings, pings, and requests that it gives up.
const FREE_OCTETS: u64 = 256 * 1024;

/// How many requests have begun and have ended on one connection, and how many octets came.
///
/// A connection that is alive asks for something: what it may send grows with what it asks for and waits for. That
/// bounds whatever frames a flood is made of, also requests that are taken back at once (CVE-2023-44487).
pub(super) struct Requests {
    begun: AtomicU64,
    answered: AtomicU64,
    given_up: AtomicU64,
    octets: AtomicU64,
    octets_a_request: u64,
    flooded: AtomicBool,
}

impl Requests {
    pub(super) const fn new(octets_a_request: u64) -> Self {
        Self {
            begun: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            octets_a_request,
            flooded: AtomicBool::new(false),
        }
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    pub(super) fn are_under_way(&self) -> bool {
        self.begun() > self.answered.load(Relaxed) + self.given_up.load(Relaxed)
    }

    pub(super) fn are_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    /// So many more octets came.
    ///
    /// # Errors
    /// When they are more than what was asked for can need.
    pub(super) fn count(&self, octets: usize) -> io::Result<()> {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        let all = self.octets.fetch_add(octets, Relaxed).saturating_add(octets);
        let earnest = self.begun().saturating_sub(self.given_up.load(Relaxed));
        if all <= self.octets_a_request.saturating_mul(earnest).saturating_add(FREE_OCTETS) {
            return Ok(());
        }
        self.flooded.store(true, Relaxed);
        Err(io::Error::other("far more was sent than was asked for"))
    }
}

/// A request under way. Dropped without [`Running::answered`], it was given up.
pub(super) struct Running {
    requests: Arc<Requests>,
    answered: bool,
}

impl Running {
    pub(super) fn begin(requests: &Arc<Requests>) -> Self {
        requests.begun.fetch_add(1, Relaxed);
        Self { requests: Arc::clone(requests), answered: false }
    }

    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = if self.answered { &self.requests.answered } else { &self.requests.given_up };
        ended.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{FREE_OCTETS, Requests, Running};

    #[test]
    fn what_may_be_sent_grows_with_what_is_asked_for_and_not_given_up() {
        let requests = Arc::new(Requests::new(1000));
        assert!(requests.count(usize::try_from(FREE_OCTETS).expect("it is small")).is_ok());
        let one = Running::begin(&requests);
        assert!(requests.count(1000).is_ok() && requests.are_under_way());
        one.answered();
        assert!(!requests.are_under_way() && requests.count(0).is_ok());
        drop(Running::begin(&requests));
        assert!(!requests.are_under_way() && !requests.are_flooded());
        assert!(requests.count(1).is_err() && requests.are_flooded());
    }

    #[test]
    fn extremes_are_bounds_like_others() {
        let requests = Arc::new(Requests::new(u64::MAX));
        let _one = Running::begin(&requests);
        assert!(requests.count(usize::MAX).is_ok());
    }
}
