//! What happens to accounts, counted.

use crate::telemetry::{Counter, Metrics, catalog};

/// Counts registrations.
#[derive(Clone)]
pub struct UserMetrics {
    registered: Counter,
}

impl UserMetrics {
    /// Its series, at zero.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self { registered: metrics.counter(&catalog::USERS_REGISTERED) }
    }

    pub(super) fn registered(&self) {
        self.registered.inc(&[]);
    }
}
