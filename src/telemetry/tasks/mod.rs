//! The service's tasks: begun with a name, listed while they live, and known to whoever looks at a worker from outside.
//!
//! Tokio can list its own tasks only by stopping all workers; in 1.54 that hangs for ever with more than about 128 of
//! them ready to run. So each task enters itself here, and says itself where it stands when it is asked.

mod asking;
mod dump;
mod places;
mod polled;
mod polls;
mod registry;
mod spawn;

use std::sync;

pub use dump::{BOUNDARY, Dump, Found, MOST, State, dump};
pub use places::Place;
pub use polls::{Poll, Poller, enlist, pollers, under_way};
pub use registry::{Task, alive, find};
pub use spawn::{spawn, spawn_on};
