//! Starting and stopping: who is ready, who has been asked to stop, who has stopped.

mod check;
mod config;
mod drain;
mod readiness;

pub use config::Config;
pub use drain::{Drain, Draining, drain};
pub use readiness::{Latch, Part, Readiness};
