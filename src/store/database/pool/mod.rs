//! The connections that are open, and who may have one.
//!
//! It is ours because a request's time is: who is refused a connection is told at once and not when the wait is over, who
//! gives up leaves the queue at once, and a connection whose answer nobody has read is never handed to anybody else.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use sqlx::Connection;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::AbortHandle,
    time::timeout,
};

use super::Engine;
use crate::{
    store::{Config, failure::is_full, metrics::StoreMetrics},
    telemetry,
};

/// How long a connection in the middle of something is waited for before it is closed. Clients that give up all the time
/// must not make the database open connections all the time, and their statements are mostly done within this.
pub(super) const SETTLING: Duration = Duration::from_millis(100);

/// Idle for longer than this, a connection is asked whether it still leads anywhere before anybody depends on it. What
/// forgets idle connections without a word, such as a NAT, does so after minutes.
pub(in crate::store::database) const FRESH: Duration = Duration::from_secs(30);

/// The same for a write that is sent outside of a transaction: it cannot be tried again once it was sent. A proxy or a
/// server that ends idle connections does so after seconds; while there is load, no connection is idle for so long.
pub(in crate::store::database) const FRESH_FOR_WRITE: Duration = Duration::from_millis(100);

/// How long it has to answer that: the simplest question there is.
const ANSWERING: Duration = Duration::from_millis(300);

/// How much longer a connection is opened that nobody waits for any more: a healthy server is done by then, and one that
/// is not must not take the place of whoever asks whether it is well again.
const UNWANTED: Duration = Duration::from_secs(1);

/// How long saying goodbye may take.
const CLOSING: Duration = Duration::from_secs(5);

/// Pauses between two tries to open a connection that a full server has refused; others may give theirs back meanwhile.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// A pool without connections yet. Cheap to clone; clones share it.
pub(super) struct Pool<DB: Engine>(Arc<Shared<DB>>);

struct Shared<DB: Engine> {
    connector: DB::Connector,
    /// One for each connection that may be in use. Who has one and finds nothing idle may open one.
    places: Arc<Semaphore>,
    max: u32,
    /// How long opening one may take.
    patience: Duration,
    idle: Mutex<VecDeque<Idle<DB>>>,
    idle_timeout: Duration,
    max_lifetime: Duration,
    is_closed: AtomicBool,
    metrics: StoreMetrics,
    sweeper: Mutex<Option<AbortHandle>>,
}

struct Idle<DB: Engine> {
    raw: DB::Connection,
    opened: Instant,
    since: Instant,
}

/// A connection that is in use, and its place.
pub(super) struct Pooled<DB: Engine> {
    raw: Option<DB::Connection>,
    opened: Instant,
    state: State,
    pool: Pool<DB>,
    /// Given back last: whoever gets it finds the connection.
    place: Option<OwnedSemaphorePermit>,
}

/// What may become of a connection when it is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is under way on it.
    Clean,
    /// An answer has not been read to its end.
    Busy,
    /// Nobody knows what it is in the middle of.
    Distrusted,
}

impl<DB: Engine> Clone for Pool<DB> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<DB: Engine> Pool<DB> {
    /// Opens nothing; within a runtime, since it closes what is idle too long.
    pub(super) fn new(config: &Config, connector: DB::Connector, metrics: StoreMetrics) -> Self {
        let shared = Arc::new(Shared {
            connector,
            places: Arc::new(Semaphore::new(usize::try_from(config.max_connections).unwrap_or(Semaphore::MAX_PERMITS))),
            max: config.max_connections,
            patience: config.acquire_timeout,
            idle: Mutex::default(),
            idle_timeout: config.idle_timeout,
            max_lifetime: config.max_lifetime,
            is_closed: AtomicBool::new(false),
            metrics,
            sweeper: Mutex::default(),
        });
        let period = config.idle_timeout.min(config.max_lifetime);
        let sweeper = telemetry::spawn("idle connections", sweep(Arc::downgrade(&shared), period));
        *shared.sweeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(sweeper.abort_handle());
        Self(shared)
    }

    /// How many connections are idle, and how many are in use or being opened.
    pub(super) fn connections(&self) -> (u32, u32) {
        let idle = u32::try_from(self.0.idle().len()).unwrap_or(u32::MAX);
        let free = u32::try_from(self.0.places.available_permits()).unwrap_or(u32::MAX);
        (idle, self.0.max.saturating_sub(free))
    }

    /// Returns a connection that was used within the time given, if one is free.
    pub(super) fn try_acquire(&self, fresh: Duration) -> Option<Pooled<DB>> {
        if self.0.is_closed.load(SeqCst) {
            return None;
        }
        let place = Arc::clone(&self.0.places).try_acquire_owned().ok()?;
        let idle = self.0.idle().pop_back_if(|idle| idle.is_fresh(fresh))?;
        Some(self.pooled(idle.raw, idle.opened, place))
    }

    /// Returns an idle connection or a new one, in the order of asking. One that was idle for longer than the time given
    /// is pinged first.
    ///
    /// # Errors
    /// Why none can be opened.
    pub(super) async fn acquire(&self, fresh: Duration) -> Result<Pooled<DB>, sqlx::Error> {
        let (mut pause, longest) = PAUSES;
        loop {
            if self.0.is_closed.load(SeqCst) {
                return Err(sqlx::Error::PoolClosed);
            }
            let place = Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
            if self.0.is_closed.load(SeqCst) {
                return Err(sqlx::Error::PoolClosed);
            }
            // The newest: those that are not needed are then left alone until they are closed.
            let newest = self.0.idle().pop_back();
            let Some(idle) = newest else {
                match self.open(place).await {
                    Err(error) if is_full(&error) => tokio::time::sleep(pause).await,
                    opened => return opened,
                }
                pause = (pause * 2).min(longest);
                continue;
            };
            let is_fresh = idle.is_fresh(fresh);
            let mut pooled = self.pooled(idle.raw, idle.opened, place);
            if is_fresh || pooled.answers().await {
                return Ok(pooled);
            }
            // What befell it has befallen all that have been idle for as long.
            self.close_idle_if(|idle| !idle.is_fresh(fresh));
        }
    }

    fn pooled(&self, raw: DB::Connection, opened: Instant, place: OwnedSemaphorePermit) -> Pooled<DB> {
        Pooled { raw: Some(raw), opened, state: State::Clean, pool: self.clone(), place: Some(place) }
    }

    /// In a task of its own: what opening one costs the server must not be wasted by whoever does not wait for its end.
    /// It is then the next one's.
    async fn open(&self, place: OwnedSemaphorePermit) -> Result<Pooled<DB>, sqlx::Error> {
        let pool = self.clone();
        let (mut tell, told) = oneshot::channel();
        drop(telemetry::spawn("open connection", async move {
            let unwanted = async {
                tell.closed().await;
                tokio::time::sleep(UNWANTED).await;
            };
            let opened = tokio::select! {
                opened = timeout(pool.0.patience, pool.connect(place)) => opened,
                () = unwanted => return,
            };
            tell.send(opened.unwrap_or(Err(sqlx::Error::PoolTimedOut))).ok();
        }));
        told.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    async fn connect(&self, place: OwnedSemaphorePermit) -> Result<Pooled<DB>, sqlx::Error> {
        let began = Instant::now();
        let raw = DB::connect(&self.0.connector).await?;
        self.0.metrics.create_time.observe(&[DB::SYSTEM], began.elapsed().as_secs_f64());
        Ok(self.pooled(raw, Instant::now(), place))
    }

    /// Closes every connection that is idle now.
    pub(super) fn close_idle(&self) {
        self.close_idle_if(|_| true);
    }

    fn close_idle_if(&self, is_over: impl Fn(&Idle<DB>) -> bool) {
        for idle in self.0.take_idle_if(is_over) {
            Self::close_beside(idle.raw, None);
        }
    }

    /// Refuses whoever comes or waits, waits until all connections are given back, and closes them.
    pub(super) async fn close(&self) {
        self.0.is_closed.store(true, SeqCst);
        // At once: one that never comes back must not keep the others open.
        let idle = std::mem::take(&mut *self.0.idle());
        for idle in idle {
            goodbye::<DB>(idle.raw).await;
        }
        drop(self.0.places.acquire_many(self.0.max).await);
        self.0.places.close();
        let all = std::mem::take(&mut *self.0.idle());
        for idle in all {
            goodbye::<DB>(idle.raw).await;
        }
    }

    /// Takes a connection back that nothing is under way on. One that is closed keeps its place until it is.
    fn give_back(&self, raw: DB::Connection, opened: Instant, place: Option<OwnedSemaphorePermit>) {
        if self.0.is_closed.load(SeqCst) || opened.elapsed() > self.0.max_lifetime {
            Self::close_beside(raw, place);
        } else {
            self.0.idle().push_back(Idle { raw, opened, since: Instant::now() });
            drop(place);
        }
    }

    /// Says goodbye in a task of its own, and keeps the place until it is said.
    fn close_beside(raw: DB::Connection, place: Option<OwnedSemaphorePermit>) {
        beside("close connection", async move {
            goodbye::<DB>(raw).await;
            drop(place);
        });
    }
}

impl<DB: Engine> Idle<DB> {
    fn is_fresh(&self, fresh: Duration) -> bool {
        self.since.elapsed() <= fresh
    }
}

impl<DB: Engine> Shared<DB> {
    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<Idle<DB>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle_if(&self, is_over: impl Fn(&Idle<DB>) -> bool) -> Vec<Idle<DB>> {
        let mut idle = self.idle();
        let (over, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut *idle).into_iter().partition(is_over);
        *idle = kept.into();
        over
    }
}

impl<DB: Engine> Drop for Shared<DB> {
    fn drop(&mut self) {
        let sweeper = self.sweeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        sweeper.take().inspect(AbortHandle::abort);
    }
}

impl<DB: Engine> Pooled<DB> {
    /// For one call: until [`Pooled::settled`] is called, an answer is under way.
    pub(super) fn lend(&mut self) -> &mut DB::Connection {
        if self.state == State::Clean {
            self.state = State::Busy;
        }
        self.raw.as_mut().expect("a connection is there until it is given back")
    }

    /// The answer was read.
    pub(super) fn settled(&mut self) {
        if self.state == State::Busy {
            self.state = State::Clean;
        }
    }

    /// Whether the database is still at its other end; if not, it is closed instead of given back.
    async fn answers(&mut self) -> bool {
        if let Ok(Ok(())) = timeout(ANSWERING, self.lend().ping()).await {
            self.settled();
            return true;
        }
        self.distrust();
        false
    }

    /// Closes it instead of giving it back.
    pub(super) fn distrust(&mut self) {
        self.state = State::Distrusted;
    }
}

impl<DB: Engine> Drop for Pooled<DB> {
    fn drop(&mut self) {
        let Some(mut raw) = self.raw.take() else { return };
        let (pool, opened, place) = (self.pool.clone(), self.opened, self.place.take());
        match self.state {
            State::Clean => pool.give_back(raw, opened, place),
            State::Distrusted => Pool::<DB>::close_beside(raw, place),
            State::Busy => beside("settle connection", async move {
                if let Ok(Ok(())) = timeout(SETTLING, raw.ping()).await {
                    pool.give_back(raw, opened, place);
                } else {
                    // The server ends the statement of a connection that is gone.
                    goodbye::<DB>(raw).await;
                    drop(place);
                }
            }),
        }
    }
}

/// Where there is no runtime any more, what the task holds is dropped, which closes it as well.
fn beside(name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    if Handle::try_current().is_ok() {
        drop(telemetry::spawn(name, work));
    }
}

async fn goodbye<DB: Engine>(raw: DB::Connection) {
    drop(timeout(CLOSING, raw.close()).await);
}

/// Closes what has been idle or open for too long.
async fn sweep<DB: Engine>(pool: Weak<Shared<DB>>, period: Duration) {
    loop {
        tokio::time::sleep(period).await;
        let Some(shared) = pool.upgrade() else { return };
        let is_over =
            |idle: &Idle<DB>| idle.since.elapsed() > shared.idle_timeout || idle.opened.elapsed() > shared.max_lifetime;
        for idle in shared.take_idle_if(is_over) {
            goodbye::<DB>(idle.raw).await;
        }
    }
}

#[cfg(test)]
mod tests;
