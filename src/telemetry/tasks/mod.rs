//! The service's tasks: begun with a name, listed while they live, and known to whoever looks at a worker from outside.
//!
//! Tokio can list its own tasks only by stopping all workers; in 1.54 that hangs for ever with more than about 128 of
//! them ready to run. So each task enters itself here.

mod polls;
mod registry;
mod spawn;

pub use polls::{Poll, Poller, enlist, pollers};
pub use registry::{Task, alive, find};
pub use spawn::spawn;
