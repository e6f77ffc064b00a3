//! Who may touch a slot's memory: one word, moved from state to state by whoever is next.
//!
//! Its atomics are its parent's, so that tests/model can try every order in which threads may see each other's writes.

use super::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Release},
};

/// Nobody's.
pub(super) const FREE: u32 = 0;
/// Waits for one certain thread.
pub(super) const ASKED: u32 = 1;
/// A signal's code is at it.
pub(super) const WRITING: u32 = 2;
/// Can be read.
pub(super) const FULL: u32 = 3;

/// Whose a slot is. All zeroes is a valid, free one.
#[repr(C)]
#[derive(Default)]
pub(super) struct Claim {
    state: AtomicU32,
    /// Who is asked; read by a thread that looks whether it is.
    pub(super) wanted: AtomicU32,
}

impl Claim {
    pub(super) fn state(&self) -> u32 {
        self.state.load(Acquire)
    }

    /// Moves it from one state to another, if it is in the first. Of several who try, one succeeds.
    pub(super) fn turn(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// From [`WRITING`] to [`FULL`]: whoever sees it full sees what was written before.
    pub(super) fn hand_over(&self) {
        self.state.store(FULL, Release);
    }
}
