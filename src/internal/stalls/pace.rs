//! How often something expensive may be done.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_mins(1);

/// At most so many in a minute, counted from the first of them.
pub(super) struct Pace {
    limit: usize,
    began: Option<Instant>,
    taken: usize,
}

impl Pace {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, began: None, taken: 0 }
    }

    /// Takes as many of these as there may be now, and says how many.
    pub(super) fn take(&mut self, wanted: usize, now: Instant) -> usize {
        if self.began.is_none_or(|began| now.duration_since(began) >= MINUTE) {
            (self.began, self.taken) = (Some(now), 0);
        }
        let taken = wanted.min(self.limit - self.taken);
        self.taken += taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Pace;

    #[test]
    fn a_minute_has_no_more_than_its_share() {
        let (mut pace, now) = (Pace::new(3), Instant::now());
        assert_eq!(pace.take(2, now), 2);
        assert_eq!(pace.take(2, now + Duration::from_secs(59)), 1);
        assert_eq!(pace.take(1, now + Duration::from_secs(59)), 0);
        assert_eq!(pace.take(9, now + Duration::from_mins(1)), 3);
    }
}
