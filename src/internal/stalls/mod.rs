//! A main runtime that is stuck is noticed from outside, and the code it is stuck in is named.
//!
//! A stall is one poll of one task that takes longer than it may, or a runtime that comes to nothing new for as long
//! although no task of ours is to blame. Tokio cannot take a worker from the code that it runs: such code has to await,
//! or to be moved to a thread that may block.

mod blame;
mod capture;
mod journal;
mod pace;
mod page;
mod recent;
mod watch;
mod workers;

pub(super) use page::show;
pub use watch::Watch;

/// The value of the label `runtime`: there is no other that is watched.
const MAIN: &str = "main";
