//! Refusals that are held back. Each keeps its client's connection, so all admission queues share one bound, and the more are
//! held, the shorter is each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// While connections are short, a client that retries at once asks ten times a second.
pub const SHORTEST_HOLD: Duration = Duration::from_millis(100);

/// The places for refusals that are held back. Cheap to clone; clones share the places.
#[derive(Debug, Clone)]
pub struct HeldRefusals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count: AtomicUsize,
    max: usize,
}

/// The place of one refusal, until it is dropped.
pub(super) struct HeldRefusal(HeldRefusals);

impl HeldRefusals {
    /// Holds back at most `max` refusals at once.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner { count: AtomicUsize::new(0), max }))
    }

    /// Takes a place, and says for how much of `time` the refusal is held back: the whole while half of the places are free,
    /// [`SHORTEST_HOLD`] from three quarters on, in between less with each. None if all places are taken.
    #[expect(clippy::cast_precision_loss, reason = "they are fewer than connections")]
    pub(super) fn hold(&self, time: Duration) -> Option<(HeldRefusal, Duration)> {
        let before = self.0.count.fetch_add(1, Relaxed);
        let place = HeldRefusal(self.clone());
        if before >= self.0.max {
            return None;
        }
        let share = ((0.75 - before as f64 / self.0.max as f64) / 0.25).clamp(0.0, 1.0);
        let shortest = time.min(SHORTEST_HOLD);
        Some((place, shortest + time.saturating_sub(shortest).mul_f64(share)))
    }

    /// Whether three quarters of the places are taken.
    pub(super) fn is_flooded(&self) -> bool {
        self.0.count.load(Relaxed).saturating_mul(4) >= self.0.max.saturating_mul(3)
    }
}

impl Drop for HeldRefusal {
    fn drop(&mut self) {
        self.0.0.count.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{HeldRefusals, SHORTEST_HOLD};

    const HOLD: Duration = Duration::from_secs(2);

    #[test]
    fn refusals_are_held_back_for_less_time_when_many_are_and_no_more_than_the_bound() {
        let held = HeldRefusals::new(400);
        let other_queue = held.clone();
        let places: Vec<_> = (0..500).map_while(|_| other_queue.hold(HOLD)).collect();
        let times: Vec<_> = places.iter().map(|(_, time)| *time).collect();
        assert_eq!(times.len(), 400);
        assert!(times[..=200].iter().all(|time| *time == HOLD));
        assert!(times[200..=300].is_sorted_by(|more, less| more > less));
        assert_eq!(times[250], (HOLD + SHORTEST_HOLD) / 2);
        assert!(times[300..].iter().all(|time| *time == SHORTEST_HOLD));
        assert!(held.hold(HOLD).is_none() && held.is_flooded());
        drop(places);
        assert!(!held.is_flooded());
        let (_place, time) = held.hold(SHORTEST_HOLD / 2).unwrap();
        assert_eq!(time, SHORTEST_HOLD / 2, "never longer than asked for");
    }

    #[test]
    fn three_quarters_of_the_places_are_a_flood() {
        let held = HeldRefusals::new(400);
        let mut places: Vec<_> = (0..299).map(|_| held.hold(HOLD)).collect();
        assert!(!held.is_flooded());
        places.push(held.hold(HOLD));
        assert!(held.is_flooded());
    }
}
