//! One CPU sampler for all who take a profile at the same frequency: each gets the samples of its own time.
//!
//! The system has one timer of a process, so requests for another frequency are refused, or take over by force.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    time::{Duration, Instant, SystemTime},
};

use axum::http::StatusCode;
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

use super::{Refusal, tally::Tally};
use crate::internal::{
    heap::now,
    stacks::Sampler,
    tool::{self, ToolError},
};

/// How often samples are fetched: so often that the room for them is never full.
const PERIOD: Duration = Duration::from_millis(50);
/// How long a request that takes over waits for the others to be given up.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(20);

/// What was sampled for one request.
pub(super) struct Taken {
    pub(super) tally: Tally,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    /// Samples that came faster than they could be fetched.
    pub(super) lost: u64,
}

/// A request for the samples from now on.
struct Order {
    length: Duration,
    taken: oneshot::Sender<Result<Taken, Refusal>>,
}

/// The sampler that runs, if one does.
struct Running {
    frequency: u32,
    orders: mpsc::Sender<Order>,
    is_given_up: Arc<AtomicBool>,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);
/// Notified when the sampler ends.
static ENDED: Notify = Notify::const_new();

/// Samples for that time, and shares a sampler that already runs at this frequency. Dropping the future ends it.
///
/// # Errors
/// 409 while a profile of another frequency is being taken, unless `force`; 409 when another request takes over by force;
/// 501 where stacks cannot be captured; 503 where the system gives no thread.
pub(super) async fn take(frequency: u32, length: Duration, force: bool) -> Result<Taken, Refusal> {
    let (taken, result) = oneshot::channel();
    let mut order = Order { length, taken };
    loop {
        let ended = ENDED.notified();
        match join(frequency, order, force)? {
            None => break,
            Some(refused) => order = refused,
        }
        timeout(TAKEOVER_TIMEOUT, ended).await.map_err(|_| conflict())?;
    }
    result.await.map_err(|_| Refusal::from(ToolError::Panicked))?
}

/// Hands the order to the sampler, started if none runs. Gives the order back where another frequency is being given up.
fn join(frequency: u32, order: Order, force: bool) -> Result<Option<Order>, Refusal> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let order = match running.as_ref() {
        Some(other) if other.frequency != frequency => {
            if !force {
                return Err(conflict());
            }
            other.is_given_up.store(true, SeqCst);
            return Ok(Some(order));
        }
        Some(same) => match same.orders.send(order) {
            Ok(()) => return Ok(None),
            // It has ended by a panic.
            Err(mpsc::SendError(order)) => order,
        },
        None => order,
    };
    let sampler = Sampler::start(frequency).map_err(|why| Refusal::new(StatusCode::NOT_IMPLEMENTED, why.0))?;
    let (orders, received) = mpsc::channel();
    let is_given_up = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_given_up);
    orders.send(order).expect("the receiver is here");
    tool::start(move || run(sampler, &received, &stop)).map_err(ToolError::from)?;
    *running = Some(Running { frequency, orders, is_given_up });
    Ok(None)
}

fn conflict() -> Refusal {
    let reason = "another profile is being taken, at another frequency; leave frequency out to share it, or take over from \
        it with force=true";
    Refusal::new(StatusCode::CONFLICT, reason)
}

/// A profile that is being taken.
struct Open {
    order: Order,
    since: Instant,
    lost_before: u64,
    taken: Taken,
}

/// Fetches samples while there is an order.
fn run(mut sampler: Sampler, orders: &mpsc::Receiver<Order>, is_given_up: &AtomicBool) {
    let mut open = Vec::<Open>::new();
    loop {
        let end = open.iter().map(|open| open.since + open.order.length).min();
        let wait = end.map_or(Duration::ZERO, |end| end.saturating_duration_since(Instant::now()).min(PERIOD));
        let order = orders.recv_timeout(wait).ok();
        sampler.drain(|thread, stack, count| {
            for open in &mut open {
                open.taken.tally.add(thread, stack.clone(), count);
            }
        });
        open.extend(order.map(|order| Open::begin(order, &sampler)));
        open.retain(|open| !open.order.taken.is_closed());
        let is_given_up = is_given_up.load(SeqCst);
        for open in open.extract_if(.., |open| is_given_up || open.since.elapsed() >= open.order.length) {
            open.end(&sampler, is_given_up);
        }
        if open.is_empty() {
            let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            // A request may have joined since: it holds the lock while it does.
            match orders.try_recv() {
                Ok(order) if !is_given_up => open.push(Open::begin(order, &sampler)),
                late => {
                    drop(sampler);
                    *running = None;
                    ENDED.notify_waiters();
                    if let Ok(order) = late {
                        order.give_up();
                    }
                    return;
                }
            }
        }
    }
}

impl Order {
    fn give_up(self) {
        let reason = "another request took over with force=true, so this profile was given up";
        self.taken.send(Err(Refusal::new(StatusCode::CONFLICT, reason))).ok();
    }
}

impl Open {
    fn begin(order: Order, sampler: &Sampler) -> Self {
        let taken = Taken { tally: Tally::default(), began: now(), took: Duration::ZERO, lost: 0 };
        Self { order, since: Instant::now(), lost_before: sampler.lost(), taken }
    }

    fn end(mut self, sampler: &Sampler, is_given_up: bool) {
        if is_given_up {
            return self.order.give_up();
        }
        self.taken.took = self.since.elapsed();
        self.taken.lost = sampler.lost() - self.lost_before;
        self.order.taken.send(Ok(self.taken)).ok();
    }
}
