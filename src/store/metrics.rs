//! What database calls and connections cost, counted.

use super::database::{Database, Engine};
use crate::telemetry::{Counter, Gauge, Histogram, Metrics, Reading, catalog};

/// How a database call ended, as the alerts count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallOutcome {
    Success,
    Failure,
    /// The client is the reason: a value that is taken or refers to nothing, or a request that was given up.
    Client,
}

impl CallOutcome {
    const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Client];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Client => "client",
        }
    }
}

/// The families of SIGNALS' database section, but for the pool's counts.
#[derive(Clone)]
pub struct StoreMetrics {
    pub(super) operation: Histogram,
    pub(super) calls: Counter,
    pub(super) pending: Gauge,
    pub(super) timeouts: Counter,
    pub(super) wait_time: Histogram,
    pub(super) create_time: Histogram,
    pub(super) use_time: Histogram,
    pub(super) retries: Counter,
}

impl StoreMetrics {
    /// Their series for one pool, at zero.
    #[must_use]
    pub fn new(metrics: &Metrics, pool: &str) -> Self {
        let new = Self {
            operation: metrics.histogram(&catalog::DB_CLIENT_OPERATION_DURATION),
            calls: metrics.counter(&catalog::DB_CALLS),
            pending: metrics.gauge(&catalog::DB_CLIENT_CONNECTION_PENDING_REQUESTS),
            timeouts: metrics.counter(&catalog::DB_CLIENT_CONNECTION_TIMEOUTS),
            wait_time: metrics.histogram(&catalog::DB_CLIENT_CONNECTION_WAIT_TIME),
            create_time: metrics.histogram(&catalog::DB_CLIENT_CONNECTION_CREATE_TIME),
            use_time: metrics.histogram(&catalog::DB_CLIENT_CONNECTION_USE_TIME),
            retries: metrics.counter(&catalog::STORE_RETRIES),
        };
        for outcome in CallOutcome::ALL {
            new.calls.add(&[outcome.as_str()], 0);
        }
        new.pending.set(&[pool], 0.0);
        new.timeouts.add(&[pool], 0);
        for histogram in [&new.wait_time, &new.create_time, &new.use_time] {
            histogram.appear(&[pool]);
        }
        new
    }
}

/// Registers what the pool knows of itself, read at each scrape.
pub(super) fn watch<DB: Engine>(metrics: &Metrics, database: &Database<DB>, max: u32) {
    let database = database.clone();
    metrics.register(Reading::new(&catalog::DB_CLIENT_CONNECTIONS, move |set| {
        let (idle, used) = database.connections();
        set(&[DB::SYSTEM, "idle"], f64::from(idle));
        set(&[DB::SYSTEM, "used"], f64::from(used));
    }));
    metrics.register(Reading::new(&catalog::DB_CLIENT_CONNECTION_MAX, move |set| {
        set(&[DB::SYSTEM], f64::from(max));
    }));
}
