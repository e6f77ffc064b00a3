//! The settings of starting and stopping.

use std::time::Duration;

/// Settings of stopping: `[shutdown]`. The budgets together stay under 30 s, the orchestrators' default.
#[derive(Debug, Clone)]
pub struct Config {
    /// After not being ready any more, how long new requests are still accepted: until the balancer has noticed.
    pub notice: Duration,
    /// How long requests under way may take to finish.
    pub grace: Duration,
    /// How long closing the store may take, with the end of the worker's current event before it.
    pub store: Duration,
    /// How long sending the last spans and logs may take.
    pub flush: Duration,
}
