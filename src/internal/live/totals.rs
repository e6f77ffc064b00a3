//! What the registry says at one moment, as far as a person wants to see it change.

use std::time::Instant;

use crate::telemetry::{
    Metrics, Sample, Spread,
    catalog::{self, Metric},
};

/// Counts since the start, and what is so now.
pub(super) struct Totals {
    pub(super) at: Instant,
    pub(super) requests: Spread,
    pub(super) errors: u64,
    pub(super) delays: Spread,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) in_flight: f64,
    pub(super) pool_used: f64,
    pub(super) pool_idle: f64,
    pub(super) pool_waiting: f64,
    pub(super) pool_max: f64,
    pub(super) tasks: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) allocated_bytes: Option<f64>,
    pub(super) stalled: bool,
}

impl Totals {
    /// Collects the dozen families that are needed, and not the whole registry.
    pub(super) fn read(metrics: &Metrics) -> Self {
        let (mut requests, mut errors) = (Spread::default(), 0);
        for sample in metrics.spreads(&catalog::HTTP_SERVER_REQUEST_DURATION) {
            if sample.label("http_response_status_code").starts_with('5') {
                errors += sample.number.count();
            }
            requests.add(&sample.number);
        }
        let mut delays = Spread::default();
        metrics
            .spreads(&catalog::TOKIO_SCHEDULING_DELAY)
            .iter()
            .filter(|one| on_main(one))
            .for_each(|one| delays.add(&one.number));
        let sum = |metric: &Metric| metrics.values(metric).iter().map(|sample| sample.number).sum();
        let one = |metric: &Metric| metrics.values(metric).first().map(|sample| sample.number);
        let pool = metrics.values(&catalog::DB_CLIENT_CONNECTIONS);
        let connections = |state: &str| {
            let those = pool.iter().filter(|sample| sample.label("db_client_connection_state") == state);
            those.map(|sample| sample.number).sum()
        };
        let tasks = metrics.values(&catalog::TOKIO_ALIVE_TASKS);
        Self {
            at: Instant::now(),
            requests,
            errors,
            delays,
            cpu_seconds: one(&catalog::PROCESS_CPU),
            in_flight: sum(&catalog::HTTP_SERVER_ACTIVE_REQUESTS),
            pool_used: connections("used"),
            pool_idle: connections("idle"),
            pool_waiting: sum(&catalog::DB_CLIENT_CONNECTION_PENDING_REQUESTS),
            pool_max: sum(&catalog::DB_CLIENT_CONNECTION_MAX),
            tasks: tasks.iter().find(|one| on_main(one)).map(|sample| sample.number),
            resident_bytes: one(&catalog::PROCESS_RESIDENT_MEMORY),
            allocated_bytes: one(&catalog::JEMALLOC_ALLOCATED),
            stalled: metrics
                .values(&catalog::TOKIO_STALLED)
                .iter()
                .filter(|one| on_main(one))
                .any(|one| one.number > 0.0),
        }
    }
}

fn on_main<N>(sample: &Sample<N>) -> bool {
    sample.label("runtime") == "main"
}
