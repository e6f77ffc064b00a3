//! Which thread polls which task, and since when: for whoever looks at a worker from outside.
//!
//! A thread enters itself when it starts, or with its first poll, and leaves the list when it ends; so the list is never
//! longer than the process has threads. Beginning and ending a poll is a look at the clock and a few writes that nobody
//! waits for.

use std::{
    marker::PhantomData,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use super::polled::Polled;

/// A thread on which tasks are polled.
#[derive(Debug)]
pub struct Poller {
    /// The standard library's word for it, which tokio uses too.
    pub thread: ThreadId,
    /// The system's word for it; zero where it is not told.
    pub tid: i32,
    /// Its name; empty if it has none.
    pub name: String,
    /// The task that is being polled, and when that began, in nanoseconds since [`BASE`].
    polled: Polled,
}

/// One poll that is under way. Two polls of one task are not equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// [`super::Task::id`] of the task.
    pub task: u64,
    /// When it began.
    pub since: Instant,
}

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);
static POLLERS: Mutex<Vec<Arc<Poller>>> = Mutex::new(Vec::new());

/// Enters the current thread before its first poll, so that it is known although it never polls a task of ours.
pub fn enlist() {
    OWN.try_with(|_| {}).ok();
}

/// Those of these threads that are known.
#[must_use]
pub fn pollers(threads: &[ThreadId]) -> Vec<Arc<Poller>> {
    let pollers = POLLERS.lock().unwrap_or_else(PoisonError::into_inner);
    pollers.iter().filter(|poller| threads.contains(&poller.thread)).map(Arc::clone).collect()
}

/// Every poll of a task of ours that is under way in this process, with the thread that is in it.
#[must_use]
pub fn under_way() -> Vec<(Arc<Poller>, Poll)> {
    let pollers = POLLERS.lock().unwrap_or_else(PoisonError::into_inner);
    pollers.iter().filter_map(|poller| Some((Arc::clone(poller), poller.poll()?))).collect()
}

impl Poller {
    /// What the thread polls now; none between two polls, and none where one has just ended and another begun.
    #[must_use]
    pub fn poll(&self) -> Option<Poll> {
        let (task, since) = self.polled.look()?;
        Some(Poll { task, since: *BASE + Duration::from_nanos(since) })
    }
}

/// Removes its thread from the list when the thread ends.
struct Own(Arc<Poller>);

thread_local! {
    static OWN: Own = Own::enlist();
}

impl Own {
    fn enlist() -> Self {
        let current = thread::current();
        let poller = Arc::new(Poller {
            thread: current.id(),
            tid: tid(),
            name: current.name().unwrap_or_default().to_owned(),
            polled: Polled::new(),
        });
        POLLERS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&poller));
        Self(poller)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut pollers = POLLERS.lock().unwrap_or_else(PoisonError::into_inner);
        pollers.retain(|poller| !Arc::ptr_eq(poller, &self.0));
    }
}

#[cfg(target_os = "linux")]
fn tid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

#[cfg(not(target_os = "linux"))]
fn tid() -> i32 {
    0
}

/// Says that this thread polls a task until it is dropped, which a panic does too. What was polled around it, if
/// anything, is said again afterwards.
pub(super) struct Polling {
    outer: (u64, u64),
    /// It belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl Polling {
    pub(super) fn begin(task: u64) -> Self {
        let now = u64::try_from(BASE.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // A thread that is ending has no record any more.
        let outer = OWN.try_with(|Own(own)| own.polled.begin(task, now));
        Self { outer: outer.unwrap_or_default(), thread: PhantomData }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        OWN.try_with(|Own(own)| own.polled.end(self.outer)).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::{panic::catch_unwind, sync::Arc, thread};

    use super::{Poll, Poller, Polling, pollers, under_way};

    fn own() -> Option<Arc<Poller>> {
        pollers(&[thread::current().id()]).pop()
    }

    fn polled() -> Option<u64> {
        own()?.poll().map(|poll| poll.task)
    }

    #[test]
    fn a_poll_is_known_until_it_ends_however_it_ends() {
        assert_eq!(polled(), None);
        let outer = Polling::begin(7);
        let before = own().unwrap().poll();
        let here = |(poller, _): &(Arc<Poller>, Poll)| poller.thread == thread::current().id();
        assert_eq!(under_way().into_iter().find(here).map(|(_, poll)| poll), before);
        catch_unwind(|| {
            let _inner = Polling::begin(8);
            assert_eq!(polled(), Some(8));
            std::panic::resume_unwind(Box::new("a task that panics"));
        })
        .unwrap_err();
        assert_eq!(
            (polled(), own().unwrap().poll()),
            (Some(7), before),
            "the outer one goes on, and did not begin anew"
        );
        drop(outer);
        assert_eq!(polled(), None);
    }

    #[test]
    fn a_thread_is_listed_as_long_as_it_lives() {
        let thread = thread::spawn(|| {
            super::enlist();
            assert!(own().is_some());
            thread::current().id()
        });
        assert!(pollers(&[thread.join().unwrap()]).is_empty());
    }
}
