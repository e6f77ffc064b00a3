//! How the service stays within what it can bear, and away from what is broken: knows neither HTTP nor SQL.

pub mod backoff;
pub mod breaker;
mod bucket;
pub mod circuit;
mod concurrency;
pub mod deadline;
mod gate;
mod held_refusals;
#[cfg(test)]
mod overload_simulation;
mod queue;
pub mod retry;
#[cfg(test)]
mod simulated;

pub use bucket::{Buckets, Quota, Taken};
pub use concurrency::{Bounds, Outcome};
pub use deadline::Deadline;
pub use gate::{Gate, GateMetrics, Permit, Refusal};
pub use held_refusals::{HeldRefusals, SHORTEST_HOLD};
pub use queue::Waits;
