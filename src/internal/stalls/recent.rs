//! The last few stalls, for whoever comes later.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use super::capture::Stuck;
use crate::telemetry::tasks::Task;

/// How many are kept.
const KEPT: usize = 8;

/// A stall, and what was found when it was looked at.
#[derive(Debug, Clone)]
pub(super) struct Stall {
    /// Counts up from 1 in this process; some have no record, so some numbers are missing.
    pub(super) number: u64,
    pub(super) began: SystemTime,
    pub(super) since: Instant,
    /// None as long as it lasts. To the watcher's period.
    pub(super) lasted: Option<Duration>,
    /// None where no task of ours is being polled and the runtime comes to nothing new all the same.
    pub(super) task: Option<Arc<Task>>,
    /// Those that are stuck; where it is many, the first of them.
    pub(super) threads: Vec<Stuck>,
}

impl Stall {
    /// How long it has lasted, or did.
    pub(super) fn duration(&self) -> Duration {
        self.lasted.unwrap_or_else(|| self.since.elapsed())
    }
}

/// The last few. Cheap to clone; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stalls: Mutex<VecDeque<Stall>>,
    counted: AtomicU64,
}

impl Recent {
    /// One more has begun: its number.
    pub(super) fn count(&self) -> u64 {
        self.0.counted.fetch_add(1, Relaxed) + 1
    }

    /// How many there have been, kept or not.
    pub(super) fn counted(&self) -> u64 {
        self.0.counted.load(Relaxed)
    }

    /// Keeps one more. One that is over makes room for it; if all of them last, the older ones tell more.
    pub(super) fn keep(&self, stall: Stall) {
        let mut stalls = self.0.stalls.lock().unwrap_or_else(PoisonError::into_inner);
        if stalls.len() >= KEPT {
            let Some(over) = stalls.iter().position(|stall| stall.lasted.is_some()) else { return };
            stalls.remove(over);
        }
        stalls.push_back(stall);
    }

    /// Says that one is over, if it is still known.
    pub(super) fn end(&self, number: u64, lasted: Duration) {
        let mut stalls = self.0.stalls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stall) = stalls.iter_mut().find(|stall| stall.number == number) {
            stall.lasted = Some(lasted);
        }
    }

    /// The newest first.
    pub(super) fn all(&self) -> Vec<Stall> {
        self.0.stalls.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::{KEPT, Recent, Stall};

    #[test]
    fn only_a_few_are_kept_and_those_that_last_stay() {
        let recent = Recent::default();
        let stall = |number| Stall {
            number,
            began: SystemTime::UNIX_EPOCH,
            since: Instant::now(),
            lasted: None,
            task: None,
            threads: Vec::new(),
        };
        let numbers = || recent.all().iter().map(|stall| stall.number).collect::<Vec<_>>();
        let last = KEPT as u64;
        (1..=last).for_each(|number| recent.keep(stall(number)));
        recent.keep(stall(last + 1));
        assert_eq!(numbers(), (1..=last).rev().collect::<Vec<_>>());
        recent.end(2, Duration::from_secs(1));
        recent.keep(stall(last + 2));
        assert_eq!((numbers()[0], numbers()[KEPT - 1], numbers().contains(&2)), (last + 2, 1, false));
    }
}
