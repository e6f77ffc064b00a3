//! How much is recorded at once: beyond it nothing new is begun, and what was left out is counted.
//!
//! console-subscriber bounds only its queue. One task costs it 49 KB, nearly all of it two histograms of 24 KB, and it
//! keeps each for the retention after its end: ten thousand short tasks a second would be gigabytes within seconds. And
//! its client reads messages of at most 4 MiB, of which each second gives one.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::interval;
use tracing::Metadata;

use crate::telemetry::{Counter, Metrics, catalog};

/// How long what has ended is still shown.
pub(super) const RETENTION: Duration = Duration::from_secs(10);
/// With 49 KB for each, about 100 MB.
pub(super) const TASKS: usize = 2000;
/// With a few hundred octets for each in a message, half of what a message may have.
const RESOURCES: usize = 5000;
/// In one second; a few dozen octets for each in a message.
const POLLS: usize = 10_000;

const SECOND: Duration = Duration::from_secs(1);

/// What tokio tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A span that is a task.
    Task,
    /// A span that is something else: a timer, a lock, an operation on one.
    Resource,
    /// An event that tells of one poll of an operation.
    Poll,
    /// Any other event. It only changes numbers that are there already.
    Change,
}

impl Kind {
    /// What it is to tokio-console; nothing, if that has no use for it.
    pub(super) fn of(metadata: &Metadata<'_>) -> Option<Self> {
        let (name, target) = (metadata.name(), metadata.target());
        if metadata.is_span() {
            let kind = if name == "runtime.spawn" { Self::Task } else { Self::Resource };
            return (name.starts_with("runtime.") || target.starts_with("tokio")).then_some(kind);
        }
        let kind = if target == "runtime::resource::poll_op" { Self::Poll } else { Self::Change };
        (target.starts_with("runtime") || target.starts_with("tokio")).then_some(kind)
    }
}

/// What is held, and what has been left out.
pub(super) struct Bounds {
    tasks: Places,
    resources: Places,
    polls: AtomicUsize,
    left_out: Counter,
}

impl Bounds {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let left_out = metrics.counter(&catalog::CONSOLE_LEFT_OUT);
        for kind in [TASK, RESOURCE, POLL] {
            left_out.add(&[kind], 0);
        }
        Self { tasks: Places::new(TASKS), resources: Places::new(RESOURCES), polls: AtomicUsize::new(0), left_out }
    }

    /// Whether there is room for one more; if not, that is counted.
    pub(super) fn admit(&self, kind: Kind) -> bool {
        let (has_room, name) = match kind {
            Kind::Task => (self.tasks.has_room(), TASK),
            Kind::Resource => (self.resources.has_room(), RESOURCE),
            Kind::Poll => (self.polls.fetch_add(1, Relaxed) < POLLS, POLL),
            Kind::Change => return true,
        };
        if !has_room {
            self.left_out.inc(&[name]);
        }
        has_room
    }

    /// A span of that kind was begun.
    pub(super) fn opened(&self, kind: Kind) {
        if let Some(places) = self.places(kind) {
            places.held.fetch_add(1, Relaxed);
        }
    }

    /// A span of that kind has ended; it is kept for a while.
    pub(super) fn closed(&self, kind: Kind) {
        if let Some(places) = self.places(kind) {
            places.ended.fetch_add(1, Relaxed);
        }
    }

    fn places(&self, kind: Kind) -> Option<&Places> {
        match kind {
            Kind::Task => Some(&self.tasks),
            Kind::Resource => Some(&self.resources),
            Kind::Poll | Kind::Change => None,
        }
    }

    /// Gives free what is not kept any longer, for as long as it is polled.
    pub(super) async fn age(&self) {
        // Whoever records anew keeps nothing from before.
        self.turn();
        self.turn();
        let (mut seconds, mut passed) = (interval(SECOND), 0);
        loop {
            seconds.tick().await;
            self.polls.store(0, Relaxed);
            passed += 1;
            // A second more than it takes: what has ended is looked through once a second.
            if passed > RETENTION.as_secs() {
                passed = 0;
                self.turn();
            }
        }
    }

    fn turn(&self) {
        self.tasks.turn();
        self.resources.turn();
    }
}

const TASK: &str = "task";
const RESOURCE: &str = "resource";
const POLL: &str = "poll";

/// A place is taken from the beginning of a span until the retention after its end is over.
struct Places {
    most: usize,
    held: AtomicUsize,
    /// Of those held, how many have ended since the last turn, and how many between that and the one before.
    ended: AtomicUsize,
    ended_before: AtomicUsize,
}

impl Places {
    const fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0), ended: AtomicUsize::new(0), ended_before: AtomicUsize::new(0) }
    }

    fn has_room(&self) -> bool {
        self.held.load(Relaxed) < self.most
    }

    fn turn(&self) {
        let over = self.ended_before.swap(self.ended.swap(0, Relaxed), Relaxed);
        self.held.fetch_sub(over, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Kind, TASKS};
    use crate::telemetry::Metrics;

    #[test]
    fn beyond_the_bound_nothing_is_begun_until_what_has_ended_is_forgotten() {
        let bounds = Bounds::new(&Metrics::new(10));
        for _ in 0..TASKS {
            assert!(bounds.admit(Kind::Task));
            bounds.opened(Kind::Task);
        }
        assert!(!bounds.admit(Kind::Task));
        assert!(bounds.admit(Kind::Resource), "tasks take no room from resources");
        bounds.closed(Kind::Task);
        bounds.turn();
        assert!(!bounds.admit(Kind::Task), "what has just ended is still shown");
        bounds.turn();
        assert!(bounds.admit(Kind::Task));
        bounds.opened(Kind::Task);
        assert!(!bounds.admit(Kind::Task));
    }
}
