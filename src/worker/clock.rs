//! Detection of steps of the machine's clock, which tokens, sessions and retention are measured by.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::time::{ClockId, clock_gettime};

use crate::domain::Clock;

/// Two reads of two clocks differ by less, also on a busy machine. NTP changes the rate of both clocks alike.
const MIN_STEP: TimeDelta = TimeDelta::seconds(5);

/// No step changes it, and it counts the time in suspend. On Linux, the monotonic clock does not count that.
#[cfg(target_os = "linux")]
const ELAPSED: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const ELAPSED: ClockId = ClockId::Monotonic;

/// A comparison of the clock with the elapsed time.
pub(super) struct ClockWatch {
    clock: Clock,
    wall: DateTime<Utc>,
    elapsed: Duration,
}

impl ClockWatch {
    pub(super) fn start(clock: Clock) -> Self {
        Self { wall: clock.now(), clock, elapsed: elapsed() }
    }

    /// Logs a step since the last check and returns its size, negative where the clock was set back.
    pub(super) fn check(&mut self) -> Option<TimeDelta> {
        let (wall, elapsed) = (self.clock.now(), elapsed());
        let step = step(wall - self.wall, elapsed.saturating_sub(self.elapsed));
        if let Some(step) = step {
            tracing::warn!(
                target: "glasshouse::worker",
                { clock.offset_seconds = step.as_seconds_f64() },
                "clock stepped: tokens, sessions and retention are measured by it"
            );
        }
        (self.wall, self.elapsed) = (wall, elapsed);
        step
    }
}

fn elapsed() -> Duration {
    clock_gettime(ELAPSED).try_into().unwrap_or_default()
}

fn step(wall: TimeDelta, elapsed: Duration) -> Option<TimeDelta> {
    let step = wall - TimeDelta::from_std(elapsed).ok()?;
    (step.abs() > MIN_STEP).then_some(step)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::step;

    #[test]
    fn clock_step_is_the_difference_to_the_elapsed_time() {
        let minute = Duration::from_mins(1);
        for (wall, expected) in
            [(60, None), (64, None), (56, None), (66, Some(6)), (0, Some(-60)), (86_460, Some(86_400))]
        {
            assert_eq!(step(TimeDelta::seconds(wall), minute), expected.map(TimeDelta::seconds), "{wall}");
        }
    }
}
