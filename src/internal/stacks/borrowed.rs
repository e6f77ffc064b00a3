//! Samples by the `pprof` crate, for a developer's Mac: good enough there, and not where the service is in production.
//! ARCHITECTURE.md says why.

use std::collections::HashMap;

use pprof::{ProfilerGuard, ProfilerGuardBuilder};

use super::{Stack, Unavailable};

/// A running timer. Dropped, it is off.
pub(in crate::internal) struct Sampler {
    guard: ProfilerGuard<'static>,
    /// How often each stack was handed over already: the crate reports everything since the start.
    seen: HashMap<(String, Stack), i64>,
}

impl Sampler {
    /// Takes a sample of a running thread whenever the process has used another `1 / frequency` seconds of CPU time.
    ///
    /// # Errors
    /// When the crate cannot: it needs a writable temporary folder.
    pub(in crate::internal) fn start(frequency: u32) -> Result<Self, Unavailable> {
        let builder = ProfilerGuardBuilder::default().frequency(frequency.clamp(1, 1000).cast_signed());
        let guard = builder.build().map_err(|error| Unavailable(format!("the pprof crate gives no timer: {error}")))?;
        Ok(Self { guard, seen: HashMap::new() })
    }

    /// Hands over the samples since the last time: the thread's name, where it was, how often.
    pub(in crate::internal) fn drain(&mut self, mut take: impl FnMut(&str, Stack, i64)) {
        let Ok(report) = self.guard.report().build_unresolved() else { return };
        for (sample, count) in report.data {
            let mut addresses: Vec<usize> = sample.frames.iter().map(|frame| frame.ip).collect();
            // The innermost is the program counter, the others are return addresses.
            addresses.iter_mut().skip(1).for_each(|address| *address = address.saturating_sub(1));
            let name = sample.thread_name.get(..sample.thread_name_length).unwrap_or_default();
            let name = String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default());
            let (count, stack) = (i64::try_from(count).unwrap_or(i64::MAX), Stack { addresses, cut: false });
            let seen = self.seen.entry((name.to_string(), stack.clone())).or_default();
            if !stack.addresses.is_empty() && count > *seen {
                take(&name, stack, count - *seen);
                *seen = count;
            }
        }
    }

    /// The crate does not count them.
    #[expect(clippy::unused_self, reason = "the other sampler counts")]
    pub(in crate::internal) const fn lost(&self) -> u64 {
        0
    }
}
