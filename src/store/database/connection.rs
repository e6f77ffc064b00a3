//! Connections: waiting for one is seen apart from using it, so that a slow pool is not taken for a slow query.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Engine, Failure,
    call::Observer,
    pool::{Pool, Pooled},
};
use crate::{
    faults::Injected,
    resilience::deadline::{self, Struck},
    telemetry::Request,
};

/// A connection taken out of the pool; goes back when it is dropped.
pub(super) struct Connection<DB: Engine> {
    pooled: Pooled<DB>,
    observer: Arc<Observer>,
    since: Instant,
}

impl<DB: Engine> Connection<DB> {
    /// Takes one that is free, or waits for one to be given back or opened, in a span of its own: not longer than is
    /// allowed, and not longer than the request has left.
    pub(super) async fn acquire(pool: &Pool<DB>, observer: &Arc<Observer>, fresh: Duration) -> Result<Self, Failure> {
        let metrics = &observer.metrics;
        let began = Instant::now();
        let is_refused = observer.faults.is_on() && observer.faults.refuses_connection();
        if let Some(pooled) = (!is_refused).then(|| pool.try_acquire(fresh)).flatten() {
            metrics.wait_time.observe(&[DB::SYSTEM], began.elapsed().as_secs_f64());
            return Ok(Self { pooled, observer: Arc::clone(observer), since: Instant::now() });
        }
        let _pending = metrics.pending.hold(&[DB::SYSTEM]);
        let span = observer.tracer.child("pool wait", || observer.place.clone());
        let acquire = async { if is_refused { Err(refused()) } else { pool.acquire(fresh).await } };
        let acquired = span.within(deadline::within(observer.patience, acquire)).await;
        let waited = began.elapsed();
        metrics.wait_time.observe_in(&[DB::SYSTEM], waited.as_secs_f64(), span.sampled());
        Request::with_current(|request| request.add_wait(waited));
        tracing::debug!(target: "glasshouse::store", { duration_seconds = waited.as_secs_f64() }, "pool wait");
        let failure = match acquired {
            Ok(Ok(pooled)) => return Ok(Self { pooled, observer: Arc::clone(observer), since: Instant::now() }),
            Ok(Err(error)) => Failure::from(error),
            Err(Struck::Ceiling) => Failure::from(sqlx::Error::PoolTimedOut),
            Err(struck) => Failure::from(struck),
        };
        if failure.is_pool_timeout() {
            metrics.timeouts.inc(&[DB::SYSTEM]);
        }
        span.fail(&failure.error_type());
        Err(failure)
    }

    /// For one call. Given back before [`Connection::settled`] it is closed, unless the answer comes soon.
    pub(super) fn lend(&mut self) -> &mut DB::Connection {
        self.pooled.lend()
    }

    /// What became of the call: after an answer, be it a refusal, the next call may follow. What only reads is closed
    /// when it is given back, or it would refuse writes long after there is a server again that takes them.
    pub(super) fn settled<T>(&mut self, outcome: &Result<T, Failure>) {
        if outcome.as_ref().is_err_and(|failure| failure.is_read_only() || failure.is_outdated()) {
            self.distrust();
        }
        if outcome.as_ref().err().is_none_or(Failure::is_answer) {
            self.pooled.settled();
        }
    }

    /// Closes it instead of giving it back: nobody knows what it is in the middle of.
    pub(super) fn distrust(&mut self) {
        self.pooled.distrust();
    }
}

/// What a server says that is not there.
fn refused() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionRefused, Injected))
}

impl<DB: Engine> Drop for Connection<DB> {
    fn drop(&mut self) {
        self.observer.metrics.use_time.observe(&[DB::SYSTEM], self.since.elapsed().as_secs_f64());
    }
}
