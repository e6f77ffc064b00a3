//! When to leave a dependency alone: closed, open, half-open, as a machine that is told the time and touches nothing.

mod window;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use self::window::Window;
use super::backoff::Backoff;

/// How many calls may look whether the dependency is back, at once.
pub const PROBES: u32 = 2;
/// How long it stays open: shortly at first, so that a mistake costs little, and never so long that clients would
/// notice that the dependency is back before we do.
pub const OPEN: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) };
/// After so long without a call nobody is there to look, so that an answer to the readiness check has to do.
const QUIET: Duration = Duration::from_secs(1);
/// Closed for so long, the next outage is another one: the waits begin anew.
const STEADY: Duration = Duration::from_secs(10);

/// Which state it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Calls pass.
    Closed,
    /// A few calls pass, to see how they fare.
    HalfOpen,
    /// No call passes.
    Open,
}

/// Why it came into the state that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has just been made.
    New,
    /// Too many of the calls of the last seconds failed.
    Failures,
    /// A call failed or got no answer, and so did the question whether the dependency is there, asked after it.
    Dead,
    /// A probe failed.
    ProbeFailed,
    /// It was open for as long as it should.
    Elapsed,
    /// A probe was answered.
    ProbeAnswered,
    /// The question whether the dependency is there was answered.
    PingAnswered,
}

/// How a call ended, as far as the dependency's health is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, whatever it said.
    Answered,
    /// It is away, or was too slow.
    Failed,
    /// Nothing was heard of it in time. That may as well be our own queue in front of it: it counts only if nobody
    /// else was answered meanwhile either.
    Silent,
    /// Nobody waited for the end.
    Abandoned,
}

/// A call that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    epoch: u64,
    began: Instant,
    /// Whether the call is a probe: everybody else is refused until it ends.
    pub is_probe: bool,
}

/// The machine. Whatever happens is told to it with the time, which must not run backwards.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    reason: Reason,
    /// Grows with each change of state: a call that was let through before says nothing of the state after.
    epoch: u64,
    /// How long an answer may be waited for.
    patience: Duration,
    window: Window,
    /// How often it has opened, or opened again, since it was last steadily closed.
    openings: u32,
    closed_at: Instant,
    under_way: u32,
    answered_at: Option<Instant>,
    asked_at: Option<Instant>,
    /// Since when there is reason to ask whether the dependency is there.
    doubted_at: Option<Instant>,
    /// It was said that there is nothing to notice before the next call.
    is_resting: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        probes: u32,
        /// When it became half-open, or the newest probe began.
        since: Instant,
    },
}

impl Breaker {
    /// Closed. `patience` is how long a healthy dependency may take for the simplest answer.
    #[must_use]
    pub fn new(patience: Duration, now: Instant) -> Self {
        Self {
            state: State::Closed,
            reason: Reason::New,
            epoch: 0,
            patience,
            window: Window::new(now),
            openings: 0,
            closed_at: now,
            under_way: 0,
            answered_at: None,
            asked_at: None,
            doubted_at: None,
            is_resting: false,
        }
    }

    /// The state that it is in, why, and a number that grows with each change.
    #[must_use]
    pub const fn phase(&self) -> (Phase, Reason, u64) {
        let phase = match self.state {
            State::Closed => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        };
        (phase, self.reason, self.epoch)
    }

    /// Whether a call may be made now. Each ticket has to come back to [`Breaker::end`].
    pub fn ask(&mut self, now: Instant) -> Option<Ticket> {
        self.asked_at = Some(now);
        self.is_resting = false;
        let is_probe = match self.state {
            State::Closed => false,
            State::Open { until } if now < until => return None,
            State::Open { .. } => {
                self.half_open(Reason::Elapsed, now);
                self.probe(1, now)
            }
            State::HalfOpen { probes, .. } if probes < PROBES => self.probe(probes + 1, now),
            // Whoever had them has had time enough to say how they ended.
            State::HalfOpen { since, .. } if now.duration_since(since) >= self.patience * 2 => {
                self.half_open(Reason::Elapsed, now);
                self.probe(1, now)
            }
            State::HalfOpen { .. } => return None,
        };
        self.under_way = self.under_way.saturating_add(1);
        Some(Ticket { epoch: self.epoch, began: now, is_probe })
    }

    /// That call has ended. `chance`, from 0 to 1, is for the time that it stays open, if it opens.
    pub fn end(&mut self, ticket: Ticket, outcome: Outcome, now: Instant, chance: f64) {
        self.under_way = self.under_way.saturating_sub(1);
        let heard = self.hear(ticket.began, outcome, now);
        if ticket.epoch != self.epoch {
            return;
        }
        match (self.state, heard) {
            (State::Closed, Outcome::Answered) => self.window.add(true, now),
            (State::Closed, Outcome::Failed | Outcome::Silent) => {
                self.doubted_at.get_or_insert(now);
                self.window.add(false, now);
                if self.window.is_failing(now) {
                    self.open(Reason::Failures, now, chance);
                }
            }
            // Why it was given up nobody knows; perhaps because no answer came.
            (State::Closed, Outcome::Abandoned) if !self.answered_since(ticket.began) => {
                self.doubted_at.get_or_insert(now);
            }
            (State::HalfOpen { .. }, Outcome::Answered) => self.close(Reason::ProbeAnswered, now),
            // Nobody else is let through, so that silence is the dependency's own, whatever a ping was answered.
            (State::HalfOpen { .. }, _) if outcome != Outcome::Abandoned => {
                self.open(Reason::ProbeFailed, now, chance);
            }
            (State::HalfOpen { probes, since }, _) => {
                self.state = State::HalfOpen { probes: probes.saturating_sub(1), since };
            }
            (State::Closed, Outcome::Abandoned) | (State::Open { .. }, _) => {}
        }
    }

    /// Somebody has asked whether the dependency is there, beside all calls and without a ticket.
    pub fn pinged(&mut self, began: Instant, outcome: Outcome, now: Instant, chance: f64) {
        let heard = self.hear(began, outcome, now);
        let (is_answered, is_failed) = (heard == Outcome::Answered, matches!(heard, Outcome::Failed | Outcome::Silent));
        match self.state {
            State::Closed if is_failed => match self.doubted_at {
                Some(doubted_at) if began >= doubted_at => self.open(Reason::Dead, now, chance),
                Some(_) => {}
                None => self.doubted_at = Some(now),
            },
            // While there are calls, it is they who tell whether calls are answered.
            State::Open { .. } | State::HalfOpen { .. } if is_answered && self.is_quiet(now) => {
                self.close(Reason::PingAnswered, now);
            }
            State::Open { .. } if is_answered => self.half_open(Reason::PingAnswered, now),
            State::Open { until } if is_failed && now >= until => self.open(Reason::Dead, now, chance),
            State::HalfOpen { probes: 0, .. } if is_failed => self.open(Reason::Dead, now, chance),
            State::Closed | State::Open { .. } | State::HalfOpen { .. } => {}
        }
    }

    /// Has it notice calls that nobody answers. Says whether somebody should ask now whether the dependency is there.
    pub fn wants_ping(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed => {
                let heard_of = self.answered_at.is_some_and(|at| now.duration_since(at) < self.patience);
                if self.under_way > 0 && !heard_of {
                    self.doubted_at.get_or_insert(now);
                }
                self.doubted_at.is_some()
            }
            State::Open { until } => now >= until,
            State::HalfOpen { since, .. } => now >= self.quiet_from(since),
        }
    }

    /// Whether something has failed since the last answer, while it is closed.
    #[must_use]
    pub const fn is_doubted(&self) -> bool {
        self.doubted_at.is_some()
    }

    /// When to ask [`Breaker::wants_ping`] again, if nothing happens before; none while there is nothing to notice, until
    /// [`Breaker::is_resting`] is false.
    #[must_use]
    pub fn rest(&mut self, now: Instant) -> Option<Duration> {
        self.is_resting = matches!(self.state, State::Closed) && self.under_way == 0 && !self.is_doubted();
        match self.state {
            State::Closed => (!self.is_resting).then(|| self.patience / 2),
            State::Open { until } => Some(until.saturating_duration_since(now)),
            State::HalfOpen { since, .. } => Some(self.quiet_from(since).saturating_duration_since(now)),
        }
    }

    /// Whether [`Breaker::rest`] named no time, and no call has been made since.
    #[must_use]
    pub const fn is_resting(&self) -> bool {
        self.is_resting
    }

    fn hear(&mut self, began: Instant, outcome: Outcome, now: Instant) -> Outcome {
        match outcome {
            Outcome::Answered => {
                self.answered_at = Some(now);
                self.doubted_at = None;
            }
            Outcome::Silent if self.answered_since(began) => return Outcome::Abandoned,
            Outcome::Silent | Outcome::Failed | Outcome::Abandoned => {}
        }
        outcome
    }

    fn answered_since(&self, began: Instant) -> bool {
        self.answered_at.is_some_and(|at| at > began)
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.asked_at.is_none_or(|at| now.duration_since(at) >= QUIET)
    }

    /// From when on nobody calls any more, if nobody calls until then.
    fn quiet_from(&self, since: Instant) -> Instant {
        self.asked_at.map_or(since, |at| at.max(since)) + QUIET
    }

    fn probe(&mut self, probes: u32, now: Instant) -> bool {
        self.state = State::HalfOpen { probes, since: now };
        true
    }

    fn open(&mut self, reason: Reason, now: Instant, chance: f64) {
        if matches!(self.state, State::Closed) && now.duration_since(self.closed_at) >= STEADY {
            self.openings = 0;
        }
        let until = now + OPEN.wait(self.openings, chance);
        self.openings = self.openings.saturating_add(1);
        self.turn(State::Open { until }, reason, now);
    }

    fn half_open(&mut self, reason: Reason, now: Instant) {
        self.turn(State::HalfOpen { probes: 0, since: now }, reason, now);
    }

    fn close(&mut self, reason: Reason, now: Instant) {
        self.closed_at = now;
        self.turn(State::Closed, reason, now);
    }

    fn turn(&mut self, state: State, reason: Reason, now: Instant) {
        self.state = state;
        self.reason = reason;
        self.epoch += 1;
        self.window = Window::new(now);
        self.doubted_at = None;
    }
}
