//! How much work may be under way at once: found out by Little's law, not guessed.
//!
//! What is under way is what is finished in a second times how long each takes. So if work is to take no longer than its
//! target, `limit × target ÷ what it takes` may be under way, and that is the next limit. Limits that compare with the
//! shortest time ever seen were tried on paper and refused: here one class holds a lookup and a list of a thousand
//! users, and who mixes more of the slow kind is not more loaded.
//!
//! Where work takes longer than its target even if hardly anything else is under way, waiting for others is not why, and
//! shutting the door would not help: the target is then somewhat above what it takes alone.

use std::time::Duration;

use tokio::time::Instant;

/// Within what a limit is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Never fewer, or nothing would be learnt any more. So few that they hardly wait for each other.
    pub min: usize,
    /// At the beginning, when nothing is known.
    pub start: usize,
    /// Never more.
    pub max: usize,
    /// What work may take, on average, when as much is under way as may be.
    pub target: Duration,
}

/// How work ended, as far as its duration says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It failed, or nobody waited for its end. That it was quick says nothing; that it was slow does.
    Failed,
    /// It turned out that there was nothing to do.
    Nothing,
}

/// A limit that follows what is measured. Pure: time and durations come in, a limit goes out.
#[derive(Debug)]
pub(super) struct Concurrency {
    bounds: Bounds,
    limit: f64,
    /// What work takes when hardly anything else is under way, in seconds, and when that was seen.
    alone: Option<(f64, Instant)>,
    /// What work took on average when the limit was last decided on, in seconds.
    takes: f64,
    /// When the limit fell: what began before tells of more work than there is now.
    fell: Instant,
    window: Window,
}

/// What was seen since the last decision.
#[derive(Debug)]
struct Window {
    began: Instant,
    samples: u32,
    sum: f64,
    slowest: f64,
    /// The most that was under way at once.
    peak: usize,
}

impl Window {
    /// A decision needs so long,
    const LENGTH: Duration = Duration::from_millis(100);
    /// and so many durations, of which the longest is not counted: one that got stuck says nothing of the others.
    const SAMPLES: u32 = 10;

    const fn new(began: Instant, used: usize) -> Self {
        Self { began, samples: 0, sum: 0.0, slowest: 0.0, peak: used }
    }

    fn add(&mut self, seconds: f64) {
        self.samples += 1;
        self.sum += seconds;
        self.slowest = self.slowest.max(seconds);
    }

    fn mean(&self) -> f64 {
        (self.sum - self.slowest) / f64::from(self.samples.max(2) - 1)
    }
}

impl Concurrency {
    /// What work takes alone is believed for so long: a database that was slow may be quick again.
    const BELIEVED: Duration = Duration::from_secs(30);
    /// How much longer than alone it may take.
    const SLACK: f64 = 1.5;
    /// One decision changes the limit by no more than this, in either direction.
    const STEP: f64 = 2.0;

    #[expect(clippy::cast_precision_loss, reason = "limits are small")]
    pub(super) const fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            limit: bounds.start as f64,
            alone: None,
            takes: bounds.target.as_secs_f64(),
            fell: now,
            window: Window::new(now, 0),
        }
    }

    /// How long the last of so many waits before it begins, by Little's law: while the limit is used up, as many pieces of
    /// work end in the time that one takes as the limit allows.
    #[expect(clippy::cast_precision_loss, reason = "queues are short")]
    pub(super) fn expected_wait(&self, waiting: usize) -> Duration {
        Duration::from_secs_f64(waiting as f64 * self.takes / self.limit)
    }

    /// How many pieces of work end in a second while the limit is used up.
    pub(super) fn rate(&self) -> f64 {
        self.limit / self.takes
    }

    /// How much may be under way.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within its bounds")]
    pub(super) const fn limit(&self) -> usize {
        self.limit as usize
    }

    /// So much is under way now.
    pub(super) fn used(&mut self, used: usize) {
        self.window.peak = self.window.peak.max(used);
    }

    /// Something that began then has ended now, and so much is still under way.
    pub(super) fn ended(&mut self, (began, now): (Instant, Instant), outcome: Outcome, used: usize) {
        let took = now.saturating_duration_since(began);
        let tells = match outcome {
            Outcome::Done => true,
            Outcome::Failed => took > self.bounds.target,
            Outcome::Nothing => false,
        };
        if tells && began >= self.fell {
            self.window.add(took.as_secs_f64());
        }
        if self.window.samples >= Window::SAMPLES && now.saturating_duration_since(self.window.began) >= Window::LENGTH
        {
            self.decide(now);
            self.window = Window::new(now, used);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "limits are small")]
    fn decide(&mut self, now: Instant) {
        let takes = self.window.mean();
        self.alone = self.alone.filter(|(_, seen)| now.saturating_duration_since(*seen) < Self::BELIEVED);
        if self.window.peak <= self.bounds.min {
            self.alone = Some((takes, now));
        } else if let Some((alone, _)) = &mut self.alone {
            // What takes no longer among others takes no longer alone.
            *alone = alone.min(takes);
        }
        // Of a limit that nothing came up against there is nothing to be learnt.
        if self.window.peak < self.limit() {
            return;
        }
        self.takes = takes;
        let alone = self.alone.map_or(0.0, |(seconds, _)| seconds);
        let target = self.bounds.target.as_secs_f64().max(alone * Self::SLACK);
        let factor = (target / takes).clamp(1.0 / Self::STEP, Self::STEP);
        let limit = (self.limit * factor).clamp(self.bounds.min as f64, self.bounds.max as f64);
        if limit < self.limit {
            self.fell = now;
        }
        // The rate stays what it was seen to be: a shorter queue for the servers is left in a shorter time.
        self.takes *= limit / self.limit;
        self.limit = limit;
    }
}
