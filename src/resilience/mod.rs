//! How the service stays within what it can bear, and away from what is broken: knows neither HTTP nor SQL.

mod concurrency;
mod gate;
#[cfg(test)]
mod simulated;

pub use concurrency::{Bounds, Outcome};
pub use gate::{Gate, GateMetrics, PATIENCE, Permit, Refusal};
