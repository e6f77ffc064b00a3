//! Samples by the `pprof` crate, for a developer's Mac: good enough there, and not where the service is in production.
//! ARCHITECTURE.md says why.

use pprof::{ProfilerGuard, ProfilerGuardBuilder, UnresolvedReport};

use super::{Stack, Unavailable};

/// A running timer. Dropped, it is off.
pub(in crate::internal) struct Sampler {
    guard: Option<ProfilerGuard<'static>>,
    /// What was sampled, once the timer is off: the crate keeps it to itself before.
    report: Option<UnresolvedReport>,
}

impl Sampler {
    /// Takes a sample of a running thread whenever the process has used another `1 / frequency` seconds of CPU time.
    ///
    /// # Errors
    /// When the crate cannot: it needs a writable temporary folder.
    pub(in crate::internal) fn start(frequency: u32) -> Result<Self, Unavailable> {
        let builder = ProfilerGuardBuilder::default().frequency(frequency.clamp(1, 1000).cast_signed());
        let guard = builder.build().map_err(|error| Unavailable(format!("the pprof crate gives no timer: {error}")))?;
        Ok(Self { guard: Some(guard), report: None })
    }

    /// Hands over the samples once [`stop`](Self::stop) was called: the thread's name, where it was, how often.
    pub(in crate::internal) fn drain(&mut self, mut take: impl FnMut(&str, Stack, i64)) {
        for (sample, count) in self.report.take().into_iter().flat_map(|report| report.data) {
            let mut addresses: Vec<usize> = sample.frames.iter().map(|frame| frame.ip).collect();
            // The innermost is the program counter, the others are return addresses.
            addresses.iter_mut().skip(1).for_each(|address| *address = address.saturating_sub(1));
            let name = sample.thread_name.get(..sample.thread_name_length).unwrap_or_default();
            let name = String::from_utf8_lossy(name.split(|octet| *octet == 0).next().unwrap_or_default());
            if !addresses.is_empty() {
                take(&name, Stack { addresses, cut: false }, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    /// Ends sampling: what was taken before can be drained now.
    pub(in crate::internal) fn stop(&mut self) {
        if let Some(guard) = self.guard.take() {
            self.report = guard.report().build_unresolved().ok();
        }
    }

    /// The crate does not count them.
    #[expect(clippy::unused_self, reason = "the other sampler counts")]
    pub(in crate::internal) const fn lost(&self) -> u64 {
        0
    }
}
