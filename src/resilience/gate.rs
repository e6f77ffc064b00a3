//! Admits as many requests as can be finished in time, lets a few more wait for their turn, and refuses the rest, as
//! [`Queue`] decides.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::{
    concurrency::{Bounds, Outcome},
    deadline::Deadline,
    held_refusals::HeldRefusals,
    queue::{Arrival, Queue, Waits},
};
use crate::telemetry::{Counter, Gauge, Held, Metrics, catalog};

/// Lets so much begin as can be done. Cheap to clone; clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    class: &'static str,
    metrics: GateMetrics,
    queue: Mutex<Queue<oneshot::Sender<Permit>>>,
    held: HeldRefusals,
}

/// Why somebody may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The wait would be too long, or the queue has no room.
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
    held: Gauge,
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
            held: metrics.gauge(&catalog::REFUSALS_HELD),
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

/// What an arrival gets: a permit, or what to wait for and for how long.
enum Entry {
    Begins(Permit),
    Waits(oneshot::Receiver<Permit>, Duration),
    Refused,
}

impl Gate {
    /// One for that class of work, whose refusals are held back in `held`.
    #[must_use]
    pub fn new(class: &'static str, bounds: Bounds, waits: Waits, held: HeldRefusals, metrics: GateMetrics) -> Self {
        let queue = Queue::new(bounds, waits, Instant::now());
        show(&metrics, class, queue.limit());
        metrics.used.set(&[class], 0.0);
        metrics.waiting.set(&[class], 0.0);
        metrics.held.set(&[class], 0.0);
        for refusal in [Refusal::Full, Refusal::Waited] {
            metrics.shed.add(&[class, refusal.as_str()], 0);
        }
        Self(Arc::new(Inner { class, metrics, queue: Mutex::new(queue), held }))
    }

    /// Waits for its turn, if the wait is short enough and ends before the request's deadline, with a body of so many bytes.
    /// Dropping the future leaves the queue.
    ///
    /// # Errors
    /// As [`Refusal`] says; it has been counted.
    pub async fn enter(&self, bytes: usize) -> Result<Permit, Refusal> {
        let refusal = match self.0.arrive(bytes) {
            Entry::Begins(permit) => return Ok(permit),
            Entry::Waits(turn, wait) => {
                let _waiting = self.0.metrics.waiting.hold(&[self.0.class]);
                // A turn that comes too late is dropped with its receiver, and so given back.
                match timeout(wait, turn).await {
                    Ok(Ok(permit)) => return Ok(permit),
                    Ok(Err(_)) | Err(_) => Refusal::Waited,
                }
            }
            Entry::Refused => Refusal::Full,
        };
        self.0.metrics.shed.inc(&[self.0.class, refusal.as_str()]);
        Err(refusal)
    }

    /// Holds a refusal back: for so long, for less where many are held, and not at all where few are refused. Returns whether
    /// so many are held that their connections are short.
    pub async fn hold(&self, time: Duration) -> bool {
        let is_immediate = self.0.queue().is_immediate(Instant::now());
        let place = if is_immediate { None } else { self.0.held.hold(time) };
        let is_flooded = self.0.held.is_flooded();
        if let Some((_place, time)) = place {
            let _shown = self.0.metrics.held.hold(&[self.0.class]);
            sleep(time).await;
        }
        is_flooded
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue<oneshot::Sender<Permit>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>) -> Permit {
        let used = self.metrics.used.hold(&[self.class]);
        Permit { gate: Some(Arc::clone(self)), began: Instant::now(), outcome: Outcome::Failed, _used: used }
    }

    fn arrive(self: &Arc<Self>, bytes: usize) -> Entry {
        let now = Instant::now();
        let left = Deadline::current().map_or(Duration::MAX, |deadline| deadline.left());
        let mut queue = self.queue();
        match queue.arrive(now, bytes, left, oneshot::Sender::is_closed) {
            Arrival::Begins => Entry::Begins(self.permit()),
            Arrival::Waits(wait) => {
                let (turn, receiver) = oneshot::channel();
                queue.push(now, turn, bytes);
                Entry::Waits(receiver, wait)
            }
            Arrival::Refused => Entry::Refused,
        }
    }

    /// One permit less; those whose turn it is begin.
    fn give_back(self: &Arc<Self>, began: Instant, outcome: Outcome) {
        let now = Instant::now();
        let mut queue = self.queue();
        let before = queue.limit();
        queue.ended((began, now), outcome);
        let limit = queue.limit();
        if limit != before {
            show(&self.metrics, self.class, limit);
        }
        while let Some(turn) = queue.next() {
            // Not with the lock held: a permit whose receiver is gone comes back here.
            drop(queue);
            let unwanted = turn.send(self.permit());
            queue = self.queue();
            if let Err(mut permit) = unwanted {
                permit.gate = None;
                queue.undo();
            }
        }
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

    use super::{Gate, GateMetrics, HeldRefusals, Permit, Refusal};
    use crate::{
        resilience::{Bounds, Deadline, Outcome, queue::Waits},
        telemetry::Metrics,
    };

    const LONG: Duration = Duration::from_mins(1);
    /// So many are through in three quarters of ten waits, if two at once take a tenth of a wait each.
    const PLACES_IN_A_BURST: usize = 150;

    /// Of two at once, always.
    fn gate(wait: Duration) -> Gate {
        gate_with(Waits { standing: wait, burst: wait * 10 })
    }

    fn gate_with(waits: Waits) -> Gate {
        let bounds = Bounds { min: 2, start: 2, max: 2, target: waits.standing / 10 };
        Gate::new("other", bounds, waits, HeldRefusals::new(1000), GateMetrics::new(&Metrics::new(100)))
    }

    async fn full(gate: &Gate) -> [Permit; 2] {
        [gate.enter(0).await.ok().unwrap(), gate.enter(0).await.ok().unwrap()]
    }

    fn refused(entered: Result<Permit, Refusal>) -> Option<Refusal> {
        entered.err()
    }

    #[tokio::test]
    async fn a_burst_is_served_in_the_order_of_arrival() {
        let gate = gate(LONG);
        let [one, other] = full(&gate).await;
        let (mut first, mut second) = (Box::pin(gate.enter(0)), Box::pin(gate.enter(0)));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        one.end(Outcome::Done);
        assert!(second.as_mut().now_or_never().is_none());
        let begun = first.now_or_never().unwrap().ok().unwrap();
        drop(other);
        assert!(second.now_or_never().unwrap().is_ok());
        drop(begun);
    }

    #[tokio::test]
    async fn request_waits_longer_in_a_burst_than_in_lasting_overload() {
        let gate = gate_with(Waits { standing: Duration::from_millis(1), burst: Duration::from_millis(50) });
        let _full = full(&gate).await;
        let began = Instant::now();
        assert_eq!(refused(gate.enter(0).await), Some(Refusal::Waited));
        assert!(began.elapsed() >= Duration::from_millis(50), "a burst is given time");

        let gate = gate_with(Waits { standing: Duration::from_millis(1), burst: LONG });
        let _full = full(&gate).await;
        let mut waiting = Box::pin(gate.enter(0));
        assert!(waiting.as_mut().now_or_never().is_none());
        let now = Instant::now();
        *gate.0.queue().overload() = Some((now.checked_sub(Duration::from_secs(1)).unwrap(), now));
        assert_eq!(refused(gate.enter(0).await), Some(Refusal::Waited));
        assert!(waiting.now_or_never().is_none(), "a request of the burst has its time still");
    }

    #[tokio::test]
    async fn the_queue_has_an_end_and_who_left_it_is_not_in_the_way() {
        let gate = gate(LONG);
        let [one, _other] = full(&gate).await;
        let mut waiting: Vec<_> = (0..PLACES_IN_A_BURST).map(|_| Box::pin(gate.enter(0))).collect();
        assert!(join_all(waiting.iter_mut()).now_or_never().is_none());
        assert_eq!(refused(gate.enter(0).await), Some(Refusal::Full));
        let last = waiting.pop().unwrap();
        drop(waiting);
        let mut another = Box::pin(gate.enter(0));
        assert!(another.as_mut().now_or_never().is_none(), "there is a place, and it waits");
        one.end(Outcome::Done);
        assert!(last.now_or_never().unwrap().is_ok());
        drop(another);
        assert_eq!(gate.0.queue().used(), 1, "the second permit is back");
    }

    #[tokio::test]
    async fn request_that_would_wait_beyond_its_deadline_is_refused_at_once() {
        let gate = gate(LONG);
        let _full = full(&gate).await;
        // Two at once that take six seconds each.
        let entered = Deadline::after(Duration::from_secs(1), None).scope(gate.enter(0)).now_or_never();
        assert_eq!(entered.map(|entered| entered.ok().and_then(refused)), Some(Some(Refusal::Full)));
    }

    #[tokio::test]
    async fn a_turn_that_nobody_takes_is_the_next_ones() {
        let gate = gate(LONG);
        let [one, _other] = full(&gate).await;
        let (mut gone, mut next) = (Box::pin(gate.enter(0)), Box::pin(gate.enter(0)));
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
                let entering = tokio::time::timeout(Duration::from_micros(number % 700), gate.enter(0));
                let Ok(Ok(permit)) = entering.await else { return };
                assert!(gate.0.queue().used() <= 2);
                tokio::task::yield_now().await;
                if number.is_multiple_of(2) { permit.end(Outcome::Done) } else { drop(permit) }
            })
        };
        for ended in join_all((0..5000).map(work)).await {
            ended.unwrap();
        }
        assert_eq!(gate.0.queue().used(), 0);
        drop(full(&gate).await);
    }
}
