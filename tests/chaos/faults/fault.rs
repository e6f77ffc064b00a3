//! One fault: what is broken, for how long, and what may be seen of it.

use std::time::Duration;

use super::scene::Kind;

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// From the blow to the beginning of its end.
    pub(super) lasts: Duration,
    pub(super) readiness: Readiness,
}

/// What the readiness probe says while it lasts. The liveness probe says that the service lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// That no traffic should come.
    Lost,
    /// Either: the database answers the probe for at least a part of the time.
    Any,
}
