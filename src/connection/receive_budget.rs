//! What one connection has asked for, and how much it may send for that.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a connection may send for nothing: a preface, settings, pings, requests that it gives up, and twice its window of
/// bodies that were refused when they were on their way.
const FREE_OCTETS: i64 = 512 * 1024;

/// How many requests have begun and have ended on one connection, and how many octets it may still send.
///
/// A connection that is alive asks for something: what it may send grows with what it asks for and waits for. That
/// bounds whatever frames a flood is made of, also requests that are taken back at once (CVE-2023-44487). What was not
/// needed is not saved up: many cheap requests do not pay for a flood.
pub struct Requests {
    octets_a_request: i64,
    state: Mutex<State>,
}

struct State {
    begun: u64,
    under_way: u64,
    /// Less than nothing after requests that were given up: what they were allowed may have been spent.
    allowance: i64,
    flooded: bool,
}

impl Requests {
    /// With no request yet; `octets_a_request` is what one request can need on the wire, in bytes.
    #[must_use]
    pub fn new(octets_a_request: u64) -> Self {
        let octets_a_request = i64::try_from(octets_a_request).unwrap_or(i64::MAX);
        let state = State { begun: 0, under_way: 0, allowance: FREE_OCTETS, flooded: false };
        Self { octets_a_request, state: Mutex::new(state) }
    }

    /// How many requests have begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.state().begun
    }

    /// Whether a request is not answered yet.
    #[must_use]
    pub fn are_under_way(&self) -> bool {
        self.state().under_way > 0
    }

    /// Whether the client has sent more than its requests can need.
    #[must_use]
    pub fn are_flooded(&self) -> bool {
        self.state().flooded
    }

    /// So many more octets came.
    ///
    /// # Errors
    /// When they are more than what was asked for can need.
    pub fn count(&self, octets: usize) -> io::Result<()> {
        let mut state = self.state();
        state.allowance = state.allowance.saturating_sub(i64::try_from(octets).unwrap_or(i64::MAX));
        if state.allowance >= 0 {
            return Ok(());
        }
        state.flooded = true;
        Err(io::Error::other("far more was sent than was asked for"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way. Dropped without [`Running::answered`], it was given up.
pub struct Running {
    requests: Arc<Requests>,
    answered: bool,
}

impl Running {
    /// Counts one more request.
    #[must_use]
    pub fn begin(requests: &Arc<Requests>) -> Self {
        let mut state = requests.state();
        state.begun += 1;
        state.under_way += 1;
        state.allowance = state.allowance.saturating_add(requests.octets_a_request);
        drop(state);
        Self { requests: Arc::clone(requests), answered: false }
    }

    /// The handler has returned a response.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.requests.state();
        state.under_way -= 1;
        if !self.answered {
            state.allowance = state.allowance.saturating_sub(self.requests.octets_a_request);
        }
        let under_way = i64::try_from(state.under_way).unwrap_or(i64::MAX);
        let most = self.requests.octets_a_request.saturating_mul(under_way).saturating_add(FREE_OCTETS);
        state.allowance = state.allowance.min(most);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{FREE_OCTETS, Requests, Running};

    fn free() -> usize {
        usize::try_from(FREE_OCTETS).unwrap()
    }

    #[test]
    fn what_may_be_sent_grows_with_what_is_asked_for_and_not_given_up() {
        let requests = Arc::new(Requests::new(1000));
        assert!(requests.count(free()).is_ok());
        let one = Running::begin(&requests);
        assert!(requests.count(1000).is_ok() && requests.are_under_way());
        one.answered();
        assert!(!requests.are_under_way() && requests.count(0).is_ok());
        drop(Running::begin(&requests));
        assert!(!requests.are_under_way() && !requests.are_flooded());
        assert!(requests.count(1).is_err() && requests.are_flooded());
    }

    #[test]
    fn what_requests_did_not_need_is_not_saved_up() {
        let requests = Arc::new(Requests::new(1_000_000));
        for _ in 0..10 {
            let (one, other) = (Running::begin(&requests), Running::begin(&requests));
            one.answered();
            assert!(requests.count(100).is_ok() && requests.are_under_way());
            other.answered();
        }
        assert!(requests.count(free()).is_ok());
        assert!(requests.count(1).is_err());
    }

    #[test]
    fn one_request_that_lasts_saves_nothing_up_for_the_others() {
        let requests = Arc::new(Requests::new(1000));
        let lasts = Running::begin(&requests);
        for _ in 0..10 {
            Running::begin(&requests).answered();
        }
        assert!(requests.count(free() + 1000).is_ok());
        assert!(requests.count(1).is_err());
        lasts.answered();
    }

    #[test]
    fn extremes_are_bounds_like_others() {
        let requests = Arc::new(Requests::new(u64::MAX));
        let _one = Running::begin(&requests);
        assert!(requests.count(usize::MAX).is_ok());
    }
}
