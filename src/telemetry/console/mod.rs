//! What tokio tells of its tasks, recorded for tokio-console: only while somebody looks, and within bounds.
//!
//! A layer that records is always registered. While nothing is to be recorded its filter refuses every callsite, so
//! that tokio does not even ask. What tasks of the internal thread do is never recorded: it is the one who looks.

mod bounds;
mod layer;
mod recorder;

use std::cell::Cell;

pub use recorder::{Recorder, Recording};

thread_local! {
    static IS_UNSEEN: Cell<bool> = const { Cell::new(false) };
}

/// From now on no task and no resource that begins on this thread is recorded. Its changes to recorded ones are.
pub fn leave_out_this_thread() {
    IS_UNSEEN.set(true);
}
