//! Who may begin, who waits for it, and who is sent away.
//!
//! The queue is short in time: whoever waits longer than is good for the objective had better be told at once. As long
//! as it is a burst, everybody is served in the order of arrival, and may wait [`PATIENCE`] times as long. Once somebody
//! has been waiting without a break for a while, there is more to do than can be done: then the newest is served first,
//! because it has its time still before it, while the oldest would be answered too late (adaptive LIFO).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::concurrency::{Bounds, Concurrency, Outcome};
use crate::telemetry::{Counter, Gauge, Held, Metrics, catalog};

/// How much longer than in a crush one may wait in a burst.
pub const PATIENCE: u32 = 10;

/// How many may wait: each keeps its request in memory.
const PLACES: usize = 256;

/// A queue that has had somebody in it for so long is no burst.
const STANDING: Duration = Duration::from_millis(100);

/// Lets so much begin as can be done. Cheap to clone; clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    class: &'static str,
    wait: Duration,
    metrics: GateMetrics,
    state: Mutex<State>,
}

struct State {
    concurrency: Concurrency,
    /// How many permits there are.
    used: usize,
    waiting: VecDeque<oneshot::Sender<Permit>>,
    /// Since when somebody waits, without a break.
    since: Option<Instant>,
}

/// Why somebody may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many wait already.
    #[error("too many wait already")]
    Full,
    /// The wait was over before its turn came.
    #[error("the wait was over before its turn came")]
    Waited,
}

impl Refusal {
    /// Its word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Waited => "waited",
        }
    }
}

/// What gates show: one for all of them, a label for each.
#[derive(Clone)]
pub struct GateMetrics {
    limit: Gauge,
    used: Gauge,
    waiting: Gauge,
    shed: Counter,
}

impl GateMetrics {
    /// Without series yet: each gate brings its own.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            limit: metrics.gauge(&catalog::CONCURRENCY_LIMIT),
            used: metrics.gauge(&catalog::CONCURRENCY_USED),
            waiting: metrics.gauge(&catalog::CONCURRENCY_WAITING),
            shed: metrics.counter(&catalog::REQUESTS_SHED),
        }
    }
}

/// Leave to work. Dropping it gives it back, as [`Outcome::Failed`] if nobody has said how the work ended.
pub struct Permit {
    /// Nothing once it is given back.
    gate: Option<Arc<Inner>>,
    began: Instant,
    outcome: Outcome,
    _used: Held,
}

enum Arrival {
    Begins(Permit),
    Waits(oneshot::Receiver<Permit>, Duration),
}

impl Gate {
    /// One for that class of work. In a crush nobody waits longer than `wait`.
    #[must_use]
    pub fn new(class: &'static str, bounds: Bounds, wait: Duration, metrics: GateMetrics) -> Self {
        let concurrency = Concurrency::new(bounds, Instant::now());
        show(&metrics, class, concurrency.limit());
        metrics.used.set(&[class], 0.0);
        metrics.waiting.set(&[class], 0.0);
        for refusal in [Refusal::Full, Refusal::Waited] {
            metrics.shed.add(&[class, refusal.as_str()], 0);
        }
        let state = State { concurrency, used: 0, waiting: VecDeque::new(), since: None };
        Self(Arc::new(Inner { class, wait, metrics, state: Mutex::new(state) }))
    }

    /// Waits for its turn, if there is hope. Whoever is no longer polled has left the queue.
    ///
    /// # Errors
    /// As [`Refusal`] says; it has been counted.
    pub async fn enter(&self) -> Result<Permit, Refusal> {
        let refusal = match self.0.arrive() {
            Ok(Arrival::Begins(permit)) => return Ok(permit),
            Ok(Arrival::Waits(turn, wait)) => {
                let _waiting = self.0.metrics.waiting.hold(&[self.0.class]);
                // A turn that comes too late is dropped with its receiver, and so given back.
                match timeout(wait, turn).await {
                    Ok(Ok(permit)) => return Ok(permit),
                    Ok(Err(_)) | Err(_) => Refusal::Waited,
                }
            }
            Err(refusal) => refusal,
        };
        self.0.metrics.shed.inc(&[self.0.class, refusal.as_str()]);
        Err(refusal)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>) -> Permit {
        let used = self.metrics.used.hold(&[self.class]);
        Permit { gate: Some(Arc::clone(self)), began: Instant::now(), outcome: Outcome::Failed, _used: used }
    }

    fn arrive(self: &Arc<Self>) -> Result<Arrival, Refusal> {
        let mut state = self.state();
        state.forget_the_gone();
        if state.waiting.is_empty() && state.used < state.concurrency.limit() {
            state.begin();
            return Ok(Arrival::Begins(self.permit()));
        }
        if state.waiting.len() >= PLACES {
            return Err(Refusal::Full);
        }
        let now = Instant::now();
        let wait = if state.is_standing(now) { self.wait } else { self.wait * PATIENCE };
        state.since.get_or_insert(now);
        let (turn, receiver) = oneshot::channel();
        state.waiting.push_back(turn);
        Ok(Arrival::Waits(receiver, wait))
    }

    /// One permit less; whoever's turn it is begins.
    fn give_back(self: &Arc<Self>, began: Instant, outcome: Outcome) {
        let now = Instant::now();
        let mut state = self.state();
        state.used -= 1;
        let (used, before) = (state.used, state.concurrency.limit());
        state.concurrency.ended((began, now), outcome, used);
        let limit = state.concurrency.limit();
        if limit != before {
            show(&self.metrics, self.class, limit);
        }
        while state.used < state.concurrency.limit()
            && let Some(turn) = state.next(now)
        {
            // Nobody may be told with the lock held: a permit that nobody wants comes back here.
            state.begin();
            drop(state);
            let unwanted = turn.send(self.permit());
            state = self.state();
            if let Err(mut permit) = unwanted {
                permit.gate = None;
                state.used -= 1;
            }
        }
    }
}

impl State {
    fn begin(&mut self) {
        self.used += 1;
        self.concurrency.used(self.used);
    }

    /// Those who have waited long enough, or whose clients have gone, are no longer in the way.
    fn forget_the_gone(&mut self) {
        self.waiting.retain(|turn| !turn.is_closed());
        if self.waiting.is_empty() {
            self.since = None;
        }
    }

    fn is_standing(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= STANDING)
    }

    fn next(&mut self, now: Instant) -> Option<oneshot::Sender<Permit>> {
        let newest_first = self.is_standing(now);
        let next = if newest_first { self.waiting.pop_back() } else { self.waiting.pop_front() };
        if self.waiting.is_empty() {
            self.since = None;
        }
        next
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits are small")]
fn show(metrics: &GateMetrics, class: &'static str, limit: usize) {
    metrics.limit.set(&[class], limit as f64);
}

impl Permit {
    /// The work has ended like this.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.give_back(self.began, self.outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, future::join_all};
    use tokio::time::Instant;

    use super::{Gate, GateMetrics, PLACES, Permit, Refusal};
    use crate::{
        resilience::{Bounds, Outcome},
        telemetry::Metrics,
    };

    const LONG: Duration = Duration::from_mins(1);

    /// Of two at once, which it never forgets: nobody ends ten things here.
    fn gate(wait: Duration) -> Gate {
        let bounds = Bounds { min: 1, start: 2, max: 2, target: Duration::from_secs(1) };
        Gate::new("other", bounds, wait, GateMetrics::new(&Metrics::new(100)))
    }

    async fn full(gate: &Gate) -> [Permit; 2] {
        [gate.enter().await.ok().unwrap(), gate.enter().await.ok().unwrap()]
    }

    fn refused(entered: Result<Permit, Refusal>) -> Option<Refusal> {
        entered.err()
    }

    #[tokio::test]
    async fn a_burst_is_served_in_the_order_of_arrival() {
        let gate = gate(LONG);
        let [one, other] = full(&gate).await;
        let (mut first, mut second) = (Box::pin(gate.enter()), Box::pin(gate.enter()));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        one.end(Outcome::Done);
        assert!(second.as_mut().now_or_never().is_none());
        let begun = first.now_or_never().unwrap().ok().unwrap();
        drop(other);
        assert!(second.now_or_never().unwrap().is_ok());
        drop(begun);
    }

    #[tokio::test]
    async fn in_a_crush_the_newest_is_served_first() {
        let gate = gate(LONG);
        let [one, _other] = full(&gate).await;
        let (mut first, mut second) = (Box::pin(gate.enter()), Box::pin(gate.enter()));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        gate.0.state().since = Some(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        one.end(Outcome::Done);
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn waiting_has_an_end_and_in_a_crush_a_sooner_one() {
        let gate = gate(Duration::from_millis(20));
        let _full = full(&gate).await;
        let began = Instant::now();
        assert_eq!(refused(gate.enter().await), Some(Refusal::Waited));
        assert!(began.elapsed() >= Duration::from_millis(200), "a burst is given time");
        let mut waiting = Box::pin(gate.enter());
        assert!(waiting.as_mut().now_or_never().is_none());
        gate.0.state().since = Some(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        assert_eq!(refused(gate.enter().await), Some(Refusal::Waited));
        assert!(waiting.now_or_never().is_none(), "who came in the burst has its time still");
    }

    #[tokio::test]
    async fn the_queue_has_an_end_and_who_left_it_is_not_in_the_way() {
        let gate = gate(LONG);
        let [one, _other] = full(&gate).await;
        let mut waiting: Vec<_> = (0..PLACES).map(|_| Box::pin(gate.enter())).collect();
        assert!(join_all(waiting.iter_mut()).now_or_never().is_none());
        assert_eq!(refused(gate.enter().await), Some(Refusal::Full));
        let last = waiting.pop().unwrap();
        drop(waiting);
        let mut another = Box::pin(gate.enter());
        assert!(another.as_mut().now_or_never().is_none(), "there is a place, and it waits");
        one.end(Outcome::Done);
        assert!(last.now_or_never().unwrap().is_ok());
        drop(another);
        assert_eq!(gate.0.state().used, 1, "the second permit is back");
    }

    #[tokio::test]
    async fn a_turn_that_nobody_takes_is_the_next_ones() {
        let gate = gate(LONG);
        let [one, _other] = full(&gate).await;
        let (mut gone, mut next) = (Box::pin(gate.enter()), Box::pin(gate.enter()));
        assert!(gone.as_mut().now_or_never().is_none() && next.as_mut().now_or_never().is_none());
        one.end(Outcome::Done);
        // It has been given leave, and is dropped before it knows.
        drop(gone);
        assert!(next.now_or_never().unwrap().is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn in_any_order_no_permit_is_lost_and_none_is_made() {
        let gate = gate(Duration::from_millis(1));
        let work = |number: u64| {
            let gate = gate.clone();
            crate::telemetry::spawn("work", async move {
                let entering = tokio::time::timeout(Duration::from_micros(number % 700), gate.enter());
                let Ok(Ok(permit)) = entering.await else { return };
                assert!(gate.0.state().used <= 2);
                tokio::task::yield_now().await;
                if number.is_multiple_of(2) { permit.end(Outcome::Done) } else { drop(permit) }
            })
        };
        for ended in join_all((0..5000).map(work)).await {
            ended.unwrap();
        }
        assert_eq!(gate.0.state().used, 0);
        drop(full(&gate).await);
    }
}
