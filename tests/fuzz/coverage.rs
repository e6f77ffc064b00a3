//! What an input has reached: one counter for each edge between blocks of instrumented code.
//!
//! scripts/instrumented has the compiler put them into our library and nothing else (LLVM's `SanitizerCoverage`, as
//! libFuzzer uses it). In an ordinary build there are none.
#![expect(unsafe_code, reason = "instrumented code hands its counters over as two pointers, and by this name")]

use std::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed},
};

static COUNTERS: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Called before `main` by each instrumented object, with the counters of all of them.
// SAFETY: nobody else has this name, and it only keeps what it is given.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, end: *mut u8) {
    COUNTERS.store(start, Relaxed);
    COUNT.store(end.addr().saturating_sub(start.addr()), Relaxed);
}

/// How many edges there are.
pub(crate) fn edges() -> usize {
    COUNT.load(Relaxed)
}

/// So many counters are looked at together: nearly all are zero, and comparing many costs as little as comparing one.
const TOGETHER: usize = 64;

/// Every edge that some input has taken, with how often: as a power of two, so that a loop which runs once more is no
/// news.
pub(crate) struct Seen {
    taken: Vec<u8>,
    counted: Vec<u8>,
}

impl Seen {
    /// Nothing yet.
    pub(crate) fn none() -> Self {
        Self { taken: vec![0; edges()], counted: vec![0; edges()] }
    }

    /// Forgets what was counted before.
    pub(crate) fn begin() {
        if edges() > 0 {
            // SAFETY: the program's own data, as long as it says. Who counts in it meanwhile loses a count.
            unsafe { ptr::write_bytes(COUNTERS.load(Relaxed), 0, edges()) };
        }
    }

    /// Adds what was counted since; says whether anything is new.
    pub(crate) fn add(&mut self) -> bool {
        if edges() == 0 {
            return false;
        }
        // SAFETY: as above; what is copied is of that length, and nobody else's.
        unsafe { ptr::copy_nonoverlapping(COUNTERS.load(Relaxed), self.counted.as_mut_ptr(), edges()) };
        let mut new = false;
        for (taken, counted) in self.taken.chunks_mut(TOGETHER).zip(self.counted.chunks(TOGETHER)) {
            if *counted == [0; TOGETHER][..counted.len()] {
                continue;
            }
            for (taken, count) in taken.iter_mut().zip(counted) {
                let bit = count.checked_ilog2().map_or(0, |log| 1 << log);
                new |= *taken & bit != bit;
                *taken |= bit;
            }
        }
        new
    }

    /// How many edges were taken at all.
    pub(crate) fn taken(&self) -> usize {
        self.taken.iter().filter(|taken| **taken != 0).count()
    }
}
