//! The time, to the microsecond.

use std::{fmt, sync::Arc};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// Where the domain takes the time from.
///
/// Always a whole number of microseconds: PostgreSQL keeps no more, SQLite would, and a user read back
/// must equal the user that was written.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the domain's time comes from")]
    pub fn system() -> Self {
        Self::from_fn(Utc::now)
    }

    /// A clock of the caller's own, for tests that pass an hour in no time.
    pub fn from_fn(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time, cut (not rounded) to the microsecond.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let now = (self.0)();
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
