//! How the calls of the last seconds ended.

use std::time::{Duration, Instant};

/// How much of the past counts, in slots of a second.
const SLOTS: usize = 10;
const SLOT: Duration = Duration::from_secs(1);
/// Fewer calls prove nothing.
const CALLS: u32 = 5;

/// Counts of the last ten seconds, which slide by whole seconds.
#[derive(Debug)]
pub(super) struct Window {
    slots: [Slot; SLOTS],
    newest: usize,
    /// When the newest slot began.
    since: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    answered: u32,
    failed: u32,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self { slots: [Slot::default(); SLOTS], newest: 0, since: now }
    }

    pub(super) fn add(&mut self, answered: bool, now: Instant) {
        self.slide(now);
        let slot = &mut self.slots[self.newest];
        let count = if answered { &mut slot.answered } else { &mut slot.failed };
        *count = count.saturating_add(1);
    }

    /// Whether at least half of the calls failed, of as many as prove something.
    pub(super) fn is_failing(&mut self, now: Instant) -> bool {
        self.slide(now);
        let sum = |count: fn(&Slot) -> u32| self.slots.iter().map(count).fold(0, u32::saturating_add);
        let (answered, failed) = (sum(|slot| slot.answered), sum(|slot| slot.failed));
        answered.saturating_add(failed) >= CALLS && failed >= answered
    }

    fn slide(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= SLOT * 10 {
            *self = Self::new(now);
        }
        while now.saturating_duration_since(self.since) >= SLOT {
            self.newest = (self.newest + 1) % SLOTS;
            self.slots[self.newest] = Slot::default();
            self.since += SLOT;
        }
    }
}
