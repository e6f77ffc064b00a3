//! Connections: waiting for one is seen apart from using it, so that a slow pool is not taken for a slow query.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    Pool,
    pool::{PoolConnection, PoolOptions},
};
use tokio::time::timeout;

use super::{Engine, Failure, call::Observer};
use crate::{
    faults::Injected,
    store::{Config, metrics::StoreMetrics},
    telemetry::{self, Request},
};

tokio::task_local! {
    /// When the current task asked the pool for a connection that was not there.
    static ASKED: Instant;
}

/// The pool's settings, with a hook that sees each connection that is opened.
///
/// Connections are not pinged before use: on PostgreSQL that costs a fifth of the server's CPU. They are retired by
/// age instead, and a read that meets a dead one is tried again.
pub(super) fn options<DB: Engine>(config: &Config, metrics: &StoreMetrics) -> PoolOptions<DB> {
    let metrics = metrics.clone();
    PoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(config.idle_timeout)
        .max_lifetime(config.max_lifetime)
        .test_before_acquire(false)
        .after_connect(move |_, _| {
            // sqlx opens a connection inside of the call that asks for one, and says only when it is done: so this
            // counts from the asking, and a wait for one of the pool's places is part of it.
            if let Ok(asked) = ASKED.try_with(|asked| *asked) {
                metrics.create_time.observe(&[DB::SYSTEM], asked.elapsed().as_secs_f64());
            }
            Box::pin(async { Ok(()) })
        })
}

/// A connection taken out of the pool; goes back when it is dropped.
pub(super) struct Connection<DB: Engine> {
    pooled: PoolConnection<DB>,
    observer: Arc<Observer>,
    since: Instant,
    is_distrusted: bool,
}

impl<DB: Engine> Connection<DB> {
    /// Takes one that is free, or waits for one to be given back or opened, in a span of its own.
    pub(super) async fn acquire(pool: &Pool<DB>, observer: &Arc<Observer>) -> Result<Self, Failure> {
        let metrics = &observer.metrics;
        let began = Instant::now();
        let is_refused = observer.faults.is_on() && observer.faults.refuses_connection();
        if let Some(pooled) = (!is_refused).then(|| pool.try_acquire()).flatten() {
            metrics.wait_time.observe(&[DB::SYSTEM], began.elapsed().as_secs_f64());
            return Ok(Self { pooled, observer: Arc::clone(observer), since: Instant::now(), is_distrusted: false });
        }
        let _pending = metrics.pending.hold(&[DB::SYSTEM]);
        let span = observer.tracer.child("pool wait", || observer.place.clone());
        let acquire = async { if is_refused { Err(refused()) } else { pool.acquire().await } };
        let acquired = span.within(ASKED.scope(began, acquire)).await;
        let waited = began.elapsed();
        metrics.wait_time.observe_in(&[DB::SYSTEM], waited.as_secs_f64(), span.sampled());
        Request::with_current(|request| request.add_wait(waited));
        tracing::debug!(target: "glasshouse::store", { duration_seconds = waited.as_secs_f64() }, "pool wait");
        match acquired {
            Ok(pooled) => {
                Ok(Self { pooled, observer: Arc::clone(observer), since: Instant::now(), is_distrusted: false })
            }
            Err(error) => {
                let failure = Failure::from(error);
                if failure.is_pool_timeout() {
                    metrics.timeouts.inc(&[DB::SYSTEM]);
                }
                span.fail(&failure.error_type());
                Err(failure)
            }
        }
    }

    pub(super) fn get(&mut self) -> &mut DB::Connection {
        &mut self.pooled
    }

    /// After a call: what only reads is closed, or it would refuse writes until its age retires it, long after there is
    /// a server again that takes them.
    pub(super) fn heed<T>(&mut self, outcome: &Result<T, Failure>) {
        if outcome.as_ref().is_err_and(Failure::is_read_only) {
            self.distrust();
        }
    }

    /// Closes it instead of giving it back: nobody knows what it is in the middle of.
    pub(super) fn distrust(&mut self) {
        self.is_distrusted = true;
        self.pooled.close_on_drop();
    }
}

/// What a server says that is not there.
fn refused() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionRefused, Injected))
}

/// How long a connection may take to say that it is whole when it is given back. One that is lost in silence never does,
/// and would keep its place in the pool for ever.
const RETURNING: Duration = Duration::from_secs(1);

impl<DB: Engine> Drop for Connection<DB> {
    fn drop(&mut self) {
        if !self.is_distrusted && tokio::runtime::Handle::try_current().is_ok() {
            let returning = timeout(RETURNING, self.pooled.return_to_pool());
            drop(telemetry::spawn("return connection", async move { drop(returning.await) }));
        }
        self.observer.metrics.use_time.observe(&[DB::SYSTEM], self.since.elapsed().as_secs_f64());
    }
}
