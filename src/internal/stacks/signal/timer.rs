//! Samples of whatever burns the CPU: a timer that runs while the process does, and what its signals wrote down.
#![expect(unsafe_code, reason = "the timer is set by a system call, and slots are read while they are full")]

use std::{
    collections::HashMap,
    io,
    ptr::null_mut,
    sync::atomic::{
        AtomicBool,
        Ordering::{Relaxed, SeqCst},
    },
    thread,
};

use libc::{itimerval, timeval};

use super::{
    super::{Stack, Unavailable},
    claim::{FREE, FULL},
    interrupt::{Pools, pools},
    slot, thread_name,
    unwind::Unwinder,
};

/// There is one such timer in a process.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A running timer. Dropped, it is off, and nothing of it costs anything any more.
pub(in crate::internal) struct Sampler {
    pools: &'static Pools,
    epoch: u32,
    lost_before: u64,
    unwinder: Option<Unwinder>,
}

impl Sampler {
    /// Takes a sample of a running thread whenever the process has used another `1 / frequency` seconds of CPU time;
    /// `frequency` is from 1 to 1000 hertz, but a kernel gives no more than it has ticks.
    ///
    /// # Errors
    /// When stacks cannot be captured in this process; or when another one runs, which who starts one has to know.
    pub(in crate::internal) fn start(frequency: u32) -> Result<Self, Unavailable> {
        let pools = pools()?;
        if TAKEN.swap(true, SeqCst) {
            return Err(Unavailable("another CPU profile is being taken".to_owned()));
        }
        let epoch = pools.epoch.fetch_add(1, SeqCst).wrapping_add(1);
        let sampler = Self { pools, epoch, lost_before: pools.lost.load(Relaxed), unwinder: None };
        pools.sampling.store(true, SeqCst);
        set(1_000_000 / frequency.clamp(1, 1000))
            .map_err(|error| Unavailable(format!("the system gives no timer: {error}")))?;
        Ok(sampler)
    }

    /// Hands over the samples that were taken since the last time: the thread's name, where it was, how often. To be
    /// called twenty times a second or more. Blocks: for microseconds a sample,
    /// and the first time for some milliseconds.
    pub(in crate::internal) fn drain(&mut self, mut take: impl FnMut(&str, Stack, i64)) {
        let mut names = HashMap::new();
        for slot in self.pools.samples.iter().filter(|slot| slot.claim.state() == FULL) {
            // SAFETY: it is full, and only the one sampler that there is frees it, just below.
            let seen = unsafe { slot.read() };
            // What was meant for another profile came too late for it.
            if seen.epoch == self.epoch {
                let name = names.entry(seen.tid).or_insert_with(|| thread_name(seen.tid));
                take(name, self.unwinder.get_or_insert_with(Unwinder::new).stack(seen), 1);
            }
            slot.claim.turn(FULL, FREE);
        }
    }

    fn stop(&mut self) {
        self.pools.sampling.store(false, SeqCst);
        // A timer that could be set can be switched off.
        set(0).ok();
    }

    /// How many samples were lost since the start, since nobody drained them in time.
    pub(in crate::internal) fn lost(&self) -> u64 {
        self.pools.lost.load(Relaxed) - self.lost_before
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
        let is_quiet = || self.pools.inside.load(SeqCst) == 0;
        // Who is in the signal's code is out of it in microseconds, if the system lets it run. Otherwise the next sampler
        // gives the memory back.
        let tries = 100;
        if (0..tries).any(|_| {
            is_quiet() || {
                thread::yield_now();
                false
            }
        }) {
            // SAFETY: no thread was in the signal's code after the last one was told that nothing is wanted; who comes
            // there now sees that. And we, the only reader, are gone.
            unsafe { slot::give_back(self.pools.samples) };
        }
        TAKEN.store(false, SeqCst);
    }
}

/// Sets the timer to so many microseconds of CPU time of the whole process; zero switches it off.
fn set(period: u32) -> io::Result<()> {
    let period = timeval { tv_sec: i64::from(period / 1_000_000), tv_usec: i64::from(period % 1_000_000) };
    let timer = itimerval { it_interval: period, it_value: period };
    // SAFETY: the structure lives during the call.
    match unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
