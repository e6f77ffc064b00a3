//! A breaker in use: shared by all calls, told in metrics and log, and looked after while nobody calls.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::{
    backoff::chance,
    breaker::{Breaker, Outcome, Phase, Reason, Ticket},
};
use crate::telemetry::{self, Counter, Metrics, Reading, catalog};

/// Questions whether the dependency is there are never asked faster, whatever is in doubt.
const PACE: Duration = Duration::from_millis(50);

/// The circuit to one dependency. Cheap to clone; clones share it.
///
/// A call costs two short holds of a lock that is never held across anything that waits: some tens of nanoseconds
/// beside a call that takes hundreds of microseconds.
#[derive(Clone)]
pub struct Circuit(Arc<Inner>);

struct Inner {
    name: &'static str,
    patience: Duration,
    breaker: Mutex<Breaker>,
    /// There is something to be doubted, or no longer.
    news: Notify,
    refusals: Counter,
}

/// The circuit is open, and the call was not made.
#[derive(Debug, thiserror::Error)]
#[error("the circuit to the {0} is open")]
pub struct Refused(&'static str);

impl Circuit {
    /// A closed one. `patience` is how long a healthy dependency may take for the simplest answer.
    ///
    /// # Panics
    /// If `metrics` has a circuit already: a bug that the first start shows.
    #[must_use]
    pub fn new(name: &'static str, patience: Duration, metrics: &Metrics) -> Self {
        let refusals = metrics.counter(&catalog::CIRCUIT_REFUSALS);
        refusals.add(&[name], 0);
        let breaker = Mutex::new(Breaker::new(patience, now()));
        let circuit = Self(Arc::new(Inner { name, patience, breaker, news: Notify::new(), refusals }));
        let shown = circuit.clone();
        metrics.register(Reading::new(&catalog::CIRCUIT_STATE, move |set| {
            let phase = shown.phase();
            for other in [Phase::Closed, Phase::HalfOpen, Phase::Open] {
                set(&[name, word(other)], if other == phase { 1.0 } else { 0.0 });
            }
        }));
        circuit
    }

    /// How long a healthy dependency may take for the simplest answer.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.0.patience
    }

    /// Which state it is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.breaker.lock().unwrap_or_else(PoisonError::into_inner).phase().0
    }

    /// Whether it is closed; the text says what it is instead.
    ///
    /// # Errors
    /// While it is not.
    pub fn closed(&self) -> Result<(), String> {
        match self.phase() {
            Phase::Closed => Ok(()),
            phase => Err(word(phase).to_owned()),
        }
    }

    /// Asks whether a call may be made now. A permit that is dropped was a call that nobody waited for.
    ///
    /// # Errors
    /// While the circuit is open, and while others are already trying whether it can be closed.
    pub fn ask(&self) -> Result<Permit, Refused> {
        let Some(ticket) = self.tell(|breaker| breaker.ask(now())) else {
            self.0.refusals.inc(&[self.0.name]);
            return Err(Refused(self.0.name));
        };
        Ok(Permit { circuit: self.clone(), ticket, outcome: Outcome::Abandoned })
    }

    /// Somebody asks whether the dependency is there. Dropped after [`Circuit::new`]'s patience, it was in vain.
    #[must_use]
    pub fn ping(&self) -> Ping {
        Ping { circuit: self.clone(), began: now(), outcome: None }
    }

    /// Asks whether the dependency is there whenever that is in doubt, and while the circuit is not closed, until the
    /// value is dropped.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn watch<F>(&self, ask: impl Fn() -> F + Send + Sync + 'static) -> Watch
    where
        F: Future<Output = Outcome> + Send,
    {
        let circuit = self.clone();
        let task = telemetry::spawn("circuit", async move {
            loop {
                let rest = circuit.tell(|breaker| breaker.rest(now()));
                // Whatever is news is worth a look.
                let news = circuit.0.news.notified();
                match rest {
                    Some(rest) => drop(timeout(rest, news).await),
                    None => news.await,
                }
                if circuit.tell(|breaker| breaker.wants_ping(now())) {
                    let ping = circuit.ping();
                    let outcome = timeout(circuit.0.patience, ask()).await.unwrap_or(Outcome::Silent);
                    ping.end(outcome);
                    tokio::time::sleep(PACE).await;
                }
            }
        });
        Watch(task.abort_handle())
    }

    /// Tells the machine something, and everybody else what it has become by that.
    fn tell<T>(&self, what: impl FnOnce(&mut Breaker) -> T) -> T {
        let (told, before, after, is_doubted, is_roused) = {
            let mut breaker = self.0.breaker.lock().unwrap_or_else(PoisonError::into_inner);
            let (before, was_resting) = (breaker.phase(), breaker.is_resting());
            let told = what(&mut breaker);
            (told, before, breaker.phase(), breaker.is_doubted(), was_resting && !breaker.is_resting())
        };
        if after.2 != before.2 {
            self.say(before.0, after.0, after.1);
        }
        if is_doubted || is_roused || after.2 != before.2 {
            self.0.news.notify_one();
        }
        told
    }

    /// Opening and closing is what people have to know; what lies between is one line a second.
    fn say(&self, was: Phase, is: Phase, reason: Reason) {
        let (circuit, was_word, is_word, why) = (self.0.name, word(was), word(is), words(reason));
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    target: "glasshouse::resilience",
                    { circuit.name = circuit, circuit.was = was_word, circuit.state = is_word, circuit.reason = why },
                    $message
                )
            };
        }
        match (was, is) {
            (Phase::Closed, Phase::Open) => line!(warn, "the circuit is open: calls are refused"),
            (_, Phase::Closed) => line!(info, "the circuit is closed: calls pass again"),
            _ => line!(debug, "the circuit is not closed yet"),
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

const fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Closed => "closed",
        Phase::HalfOpen => "half_open",
        Phase::Open => "open",
    }
}

const fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::New => "it is new",
        Reason::Failures => "half of the calls of the last seconds failed",
        Reason::Dead => "neither a call nor the readiness check was answered",
        Reason::ProbeFailed => "a probe failed",
        Reason::Elapsed => "it was open for long enough to try",
        Reason::ProbeAnswered => "a probe was answered",
        Reason::PingAnswered => "the readiness check was answered",
    }
}

/// A call that was let through. However it ends, the circuit hears of it.
pub struct Permit {
    circuit: Circuit,
    ticket: Ticket,
    outcome: Outcome,
}

impl Permit {
    /// How long the call may take, if it is a probe: whoever waits for it longer keeps all others out.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        self.ticket.is_probe.then_some(self.circuit.0.patience)
    }

    /// That is how it ended.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.circuit.tell(|breaker| breaker.end(self.ticket, self.outcome, now(), chance()));
    }
}

/// A question whether the dependency is there.
pub struct Ping {
    circuit: Circuit,
    began: std::time::Instant,
    outcome: Option<Outcome>,
}

impl Ping {
    /// That is what it said.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        let now = now();
        // Whoever gives up has a clock of its own, which need not agree to the millisecond.
        let is_over = now.saturating_duration_since(self.began) >= self.circuit.0.patience.mul_f64(0.9);
        let silence = if is_over { Outcome::Silent } else { Outcome::Abandoned };
        let outcome = self.outcome.unwrap_or(silence);
        self.circuit.tell(|breaker| breaker.pinged(self.began, outcome, now, chance()));
    }
}

/// Looks after a circuit while it lives.
pub struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
