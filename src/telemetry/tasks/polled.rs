//! What one thread polls, and since when: two words that it alone writes and anybody reads, and nobody waits.
//!
//! Its atomics are its parent's, so that tests/model can try every order in which threads may see each other's writes.

use super::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Tasks are counted from 1.
const NONE: u64 = 0;

/// A task's number and a time, which belong together.
#[derive(Debug)]
pub(super) struct Polled {
    /// The task that is being polled, or [`NONE`].
    task: AtomicU64,
    /// When that poll began, in nanoseconds since a moment of the reader's choice.
    since: AtomicU64,
}

impl Polled {
    pub(super) fn new() -> Self {
        Self { task: AtomicU64::new(NONE), since: AtomicU64::new(0) }
    }

    /// Says that a poll begins; what to say again when it ends. Only the thread itself says so.
    pub(super) fn begin(&self, task: u64, now: u64) -> (u64, u64) {
        let outer = (self.task.load(Relaxed), self.since.load(Relaxed));
        // In this order: whoever sees the task sees its time, or a younger one.
        self.since.store(now, Release);
        self.task.store(task, Release);
        outer
    }

    /// Says that it has ended, and what was polled around it.
    pub(super) fn end(&self, (task, since): (u64, u64)) {
        self.task.store(task, Release);
        // Where nothing is polled any more the time stays: whoever is between its two looks at a task that is polled
        // again at once must not take an older time for that poll's.
        if task != NONE {
            self.since.store(since, Release);
        }
    }

    /// The task and its time; none between two polls, and none where one has just ended and another begun.
    pub(super) fn look(&self) -> Option<(u64, u64)> {
        let task = self.task.load(Acquire);
        let since = self.since.load(Acquire);
        // A time that belongs to an outer poll, which has just been returned to, must not be taken for the inner one's.
        (task != NONE && self.task.load(Relaxed) == task).then_some((task, since))
    }
}
