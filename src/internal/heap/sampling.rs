//! Whether the heap is sampled, since when and until when; for a while or for good.

use std::{
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::task::AbortHandle;

use super::allocator::{self, Lacking};
use crate::internal::tool::{self, ToolError};

/// How long a timer waits before it tries again to get a thread.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whether the heap is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    Off,
    On {
        /// Absent where it was on before this program could ask: `MALLOC_CONF` did it.
        since: Option<SystemTime>,
        /// Absent where it is on until somebody switches it off.
        until: Option<SystemTime>,
        /// Counts the times that it was switched on: what was sampled in two of them cannot be compared.
        turn: u64,
    },
}

/// Why it was not switched.
#[derive(Debug, thiserror::Error)]
pub(super) enum SwitchError {
    #[error(transparent)]
    Lacking(#[from] Lacking),
    #[error("{0}")]
    Refused(String),
}

struct State {
    sampling: Sampling,
    /// Switches it off by itself.
    timer: Option<AbortHandle>,
    turns: u64,
    /// Counts the times that somebody wanted it on: only the last one's timer switches it off.
    leases: u64,
}

static STATE: LazyLock<Mutex<State>> = LazyLock::new(|| {
    let on = allocator::lacking().is_none() && allocator::is_active();
    let sampling = if on { Sampling::On { since: None, until: None, turn: 0 } } else { Sampling::Off };
    Mutex::new(State { sampling, timer: None, turns: 0, leases: 0 })
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is so now. Blocks while it is switched.
pub(super) fn sampling() -> Sampling {
    state().sampling
}

/// Whether the heap is sampled at this moment. Unlike everything else here it waits for nobody.
pub(in crate::internal) fn is_on() -> bool {
    allocator::is_active()
}

/// Switches it on for a while, or until it is switched off. What is on for good stays so when somebody wants it for a
/// while: it falls back to what was before. What was sampled already is kept.
///
/// With a duration it must be called on a runtime, which is the one that switches it off. Blocks, as
/// [`switch_off`] does.
///
/// Says whether that changed anything.
///
/// # Errors
/// Where it cannot be.
pub(super) fn switch_on(duration: Option<Duration>) -> Result<bool, SwitchError> {
    if let Some(lacking) = allocator::lacking() {
        return Err(lacking.into());
    }
    let mut state = state();
    let (since, turn) = match state.sampling {
        Sampling::On { until: None, .. } => return Ok(false),
        Sampling::On { since, turn, .. } => (since, turn),
        Sampling::Off => {
            allocator::set_active(true).map_err(SwitchError::Refused)?;
            state.turns += 1;
            (Some(now()), state.turns)
        }
    };
    if let Some(timer) = state.timer.take() {
        timer.abort();
    }
    state.leases += 1;
    let lease = state.leases;
    state.timer = duration.map(|duration| {
        let timer = crate::telemetry::spawn("heap sampling", async move {
            tokio::time::sleep(duration).await;
            // Without a thread it waits for one: sampling must not stay on because of it.
            let fallen = loop {
                match tool::run(move || fall_back(lease)).await {
                    Ok(fallen) => break fallen,
                    Err(ToolError::NoThread(_)) => tokio::time::sleep(RETRY_AFTER).await,
                    Err(ToolError::Panicked) => break Ok(false),
                }
            };
            tell_fall(fallen);
        });
        timer.abort_handle()
    });
    state.sampling = Sampling::On { since, until: duration.map(|duration| now() + duration), turn };
    Ok(true)
}

/// Writes into the log that it was.
pub(super) fn tell_on(duration: Option<Duration>) {
    let heap_sampling_for = duration.map(|duration| humantime::format_duration(duration).to_string());
    tracing::info!(target: "glasshouse::internal", { heap.sampling_for = heap_sampling_for }, "heap sampling was switched on");
}

/// Because a setting says so. Where it cannot be, the log says why.
pub(in crate::internal) fn switch_on_for_good() {
    match switch_on(None) {
        Ok(true) => tell_on(None),
        Ok(false) => {}
        // A developer's Mac, or an operator's MALLOC_CONF: nothing to mend.
        Err(SwitchError::Lacking(lacking)) => {
            tracing::info!(target: "glasshouse::internal", { error.message = %lacking }, "the heap is not sampled");
        }
        Err(error) => {
            let error = error.to_string();
            tracing::warn!(target: "glasshouse::internal", { error.message = error }, "heap sampling was not switched on");
        }
    }
}

/// Switches it off, and forgets what was sampled. Blocks: a profile that is being written is waited for, since jemalloc
/// jemalloc does. Says whether it was on.
///
/// # Errors
/// When jemalloc refuses.
pub(super) fn switch_off() -> Result<bool, SwitchError> {
    state().off()
}

/// Writes into the log that it was.
pub(super) fn tell_off() {
    tracing::info!(target: "glasshouse::internal", "heap sampling was switched off");
}

/// The while is over. Says whether it was on; blocks as [`switch_off`] does.
fn fall_back(lease: u64) -> Result<bool, SwitchError> {
    let mut state = state();
    // Somebody may have been quicker, and may want it for longer. To abort a timer that has rung changes nothing.
    if state.leases != lease {
        return Ok(false);
    }
    // It is this timer, which has something to tell yet.
    state.timer = None;
    state.off()
}

fn tell_fall(fallen: Result<bool, SwitchError>) {
    match fallen {
        Ok(false) => {}
        Ok(true) => tracing::info!(target: "glasshouse::internal", "heap sampling fell back to off"),
        Err(error) => {
            let error = error.to_string();
            tracing::error!(target: "glasshouse::internal", { error.message = error }, "heap sampling did not fall back");
        }
    }
}

/// What happens meanwhile happens as if somebody were switching.
#[cfg(test)]
pub(super) fn while_switching<T>(work: impl FnOnce() -> T) -> T {
    let _state = state();
    work()
}

impl State {
    /// Says whether it was on.
    fn off(&mut self) -> Result<bool, SwitchError> {
        if self.sampling == Sampling::Off {
            return Ok(false);
        }
        allocator::set_active(false).map_err(SwitchError::Refused)?;
        self.sampling = Sampling::Off;
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        allocator::forget().map_err(SwitchError::Refused)?;
        Ok(true)
    }
}

#[expect(clippy::disallowed_methods, reason = "it is about this process, and not about what the domain does")]
pub(in crate::internal) fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Sampling, fall_back, sampling, state, switch_off, switch_on};
    use crate::internal::heap::ALONE;

    #[tokio::test]
    async fn a_timer_that_has_rung_does_not_end_what_somebody_wants_for_longer() {
        let _alone = ALONE.lock().await;
        switch_off().unwrap();
        switch_on(Some(Duration::from_mins(1))).unwrap();
        let rung = state().leases;
        switch_on(Some(Duration::from_mins(2))).unwrap();
        assert!(!fall_back(rung).unwrap());
        assert_ne!(sampling(), Sampling::Off);
        assert!(fall_back(rung + 1).unwrap());
        assert_eq!(sampling(), Sampling::Off);
    }
}
