//! A slot's memory is never written by one thread while another is at it, and whoever sees it full sees all of it.

use loom::{
    cell::UnsafeCell,
    model,
    sync::{
        Arc,
        atomic::{self, Ordering::Relaxed},
    },
    thread,
};

#[path = "../../src/internal/stacks/signal/claim.rs"]
mod shipped;

use shipped::{ASKED, Claim, FREE, FULL, WRITING};

/// A slot whose memory notices two who are at it at once.
struct Slot {
    claim: Claim,
    seen: UnsafeCell<[u32; 2]>,
}

// SAFETY: this is what is tested.
unsafe impl Sync for Slot {}

impl Slot {
    fn new() -> Arc<Self> {
        Arc::new(Self { claim: Claim::default(), seen: UnsafeCell::new([0, 0]) })
    }

    /// As the signal's code fills it.
    fn fill(&self, with: u32) {
        // SAFETY: loom fails the test where this is not alone.
        self.seen.with_mut(|seen| unsafe { *seen = [with, with] });
        self.claim.hand_over();
    }

    /// As the timer's code takes a sample.
    fn sample(&self, with: u32) -> bool {
        let is_ours = self.claim.state() == FREE && self.claim.turn(FREE, WRITING);
        if is_ours {
            self.fill(with);
        }
        is_ours
    }

    /// As a thread answers that was asked.
    fn answer(&self, own: u32) {
        if self.claim.state() == ASKED && self.claim.wanted.load(Relaxed) == own && self.claim.turn(ASKED, WRITING) {
            self.fill(own);
        }
    }

    /// As the one reader empties it.
    fn drain(&self) -> Option<u32> {
        (self.claim.state() == FULL).then(|| {
            // SAFETY: loom fails the test where somebody writes.
            let [one, two] = self.seen.with(|seen| unsafe { *seen });
            assert_eq!(one, two, "half of it is of another time");
            self.claim.turn(FULL, FREE);
            one
        })
    }
}

#[test]
fn of_two_threads_with_samples_one_gets_the_slot_and_the_other_loses_nothing_of_it() {
    model(|| {
        let slot = Slot::new();
        let threads = [1, 2].map(|number| {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.sample(number))
        });
        let early = slot.drain();
        let taken = threads.map(|thread| thread.join().unwrap());
        let drained = [early, slot.drain()].iter().flatten().count();
        assert_eq!(taken.iter().filter(|taken| **taken).count(), drained, "as many as were taken are read");
        assert!(drained >= 1 && slot.claim.state() == FREE);
    });
}

#[test]
fn who_takes_a_slot_that_was_freed_writes_after_it_was_read() {
    model(|| {
        let slot = Slot::new();
        assert!(slot.sample(1));
        let sampling = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.sample(2))
        };
        assert_eq!(slot.drain(), Some(1));
        let taken = sampling.join().unwrap();
        assert_eq!(slot.drain(), taken.then_some(2));
    });
}

#[test]
fn a_question_that_is_taken_back_is_answered_wholly_or_not_at_all() {
    model(|| {
        let slot = Slot::new();
        slot.claim.wanted.store(7, Relaxed);
        assert!(slot.claim.turn(FREE, ASKED));
        let answering = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.answer(7))
        };
        // Its time is over.
        slot.claim.turn(ASKED, FREE);
        let early = slot.drain();
        // The next who asks takes what is free, for another thread.
        let asked_again = slot.claim.state() == FREE && {
            slot.claim.wanted.store(8, Relaxed);
            slot.claim.turn(FREE, ASKED)
        };
        answering.join().unwrap();
        let late = slot.drain();
        assert!(early.is_none() || late.is_none(), "one question, two answers");
        assert!([early, late].into_iter().flatten().all(|own| own == 7), "{early:?} {late:?}");
        let left = if asked_again && late.is_none() { ASKED } else { FREE };
        assert_eq!(slot.claim.state(), left);
    });
}
