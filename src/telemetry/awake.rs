//! Whether a worker of a runtime is awake, without asking the runtime anything, which would wake one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::Notify;

/// The workers of one runtime that are not parked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AwakeWorkers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count: AtomicUsize,
    is_awaited: AtomicBool,
    woke: Notify,
}

impl AwakeWorkers {
    /// Of a runtime with so many workers: all are awake until they park for the first time.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(Arc::new(Inner {
            count: AtomicUsize::new(workers),
            is_awaited: AtomicBool::new(false),
            woke: Notify::new(),
        }))
    }

    /// A worker is about to park.
    pub fn parks(&self) {
        self.0.count.fetch_sub(1, SeqCst);
    }

    /// A worker has been unparked.
    pub fn unparks(&self) {
        self.0.count.fetch_add(1, SeqCst);
        // Either this load sees that a task waits, or the waiter's load after its store sees the new count.
        if self.0.is_awaited.load(SeqCst) {
            self.0.woke.notify_one();
        }
    }

    /// Whether any worker is awake.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.count.load(SeqCst) > 0
    }

    /// Waits until a worker is awake. Only one task may wait at a time.
    pub async fn wait(&self) {
        let _awaiting = Awaiting::begin(&self.0.is_awaited);
        while !self.any() {
            self.0.woke.notified().await;
        }
    }
}

/// Set until it is dropped, also when the wait is given up: a signal that no task awaits costs every worker something.
struct Awaiting<'a>(&'a AtomicBool);

impl<'a> Awaiting<'a> {
    fn begin(is_awaited: &'a AtomicBool) -> Self {
        is_awaited.store(true, SeqCst);
        Self(is_awaited)
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::AwakeWorkers;

    #[test]
    fn wait_ends_when_a_worker_is_unparked() {
        let workers = AwakeWorkers::new(2);
        assert!(workers.any() && workers.wait().now_or_never().is_some());
        workers.parks();
        assert!(workers.any());
        workers.parks();
        assert!(!workers.any());
        let mut wait = Box::pin(workers.wait());
        assert!(wait.as_mut().now_or_never().is_none());
        workers.unparks();
        assert!(wait.now_or_never().is_some());

        workers.parks();
        let wait = workers.wait();
        workers.unparks();
        workers.parks();
        assert!(wait.now_or_never().is_none(), "a worker that has parked again is not awake");
    }
}
