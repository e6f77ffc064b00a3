//! One reading: what happened in an interval, and what was so at its end.

use std::time::Duration;

use serde::Serialize;

use super::totals::Totals;

/// As `/debug/live` shows it. What cannot be known is `null`: a latency without requests, memory where the system does
/// not tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Reading {
    /// Counts up from 1.
    pub(super) number: u64,
    /// When it was taken, in seconds since the recording began.
    pub(super) at_seconds: f64,
    /// How long the interval was that rates and quantiles are of.
    pub(super) interval_seconds: f64,
    pub(super) requests_per_second: f64,
    /// Requests that were answered with a 5xx.
    pub(super) errors_per_second: f64,
    /// Their share of all requests, from 0 to 1.
    pub(super) error_share: Option<f64>,
    pub(super) latency_p50_seconds: Option<f64>,
    pub(super) latency_p95_seconds: Option<f64>,
    pub(super) latency_p99_seconds: Option<f64>,
    pub(super) requests_in_flight: f64,
    pub(super) pool_used: f64,
    pub(super) pool_idle: f64,
    pub(super) pool_waiting: f64,
    pub(super) pool_max: f64,
    pub(super) main_tasks: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) allocated_bytes: Option<f64>,
    /// CPU time for each second: how many cores are busy.
    pub(super) cpu_cores: Option<f64>,
    /// The 99th percentile; while the runtime answers nothing, how long that has been so.
    pub(super) scheduling_delay_seconds: Option<f64>,
    pub(super) stalled: bool,
}

impl Reading {
    /// What came between two moments. `silent` is for how long no question to the main runtime has been answered.
    #[expect(clippy::cast_precision_loss, reason = "no process counts to 2^52 in an interval")]
    pub(super) fn between(number: u64, at: Duration, before: &Totals, now: &Totals, silent: Duration) -> Self {
        let interval_seconds = now.at.duration_since(before.at).as_secs_f64().max(f64::EPSILON);
        let requests = now.requests.since(&before.requests);
        let errors = now.errors.saturating_sub(before.errors) as f64;
        let delays = now.delays.since(&before.delays);
        let spent = now.cpu_seconds.zip(before.cpu_seconds).map(|(now, before)| (now - before).max(0.0));
        Self {
            number,
            at_seconds: at.as_secs_f64(),
            interval_seconds,
            requests_per_second: requests.count() as f64 / interval_seconds,
            errors_per_second: errors / interval_seconds,
            error_share: (requests.count() > 0).then(|| errors / requests.count() as f64),
            latency_p50_seconds: requests.quantile(0.5),
            latency_p95_seconds: requests.quantile(0.95),
            latency_p99_seconds: requests.quantile(0.99),
            requests_in_flight: now.in_flight,
            pool_used: now.pool_used,
            pool_idle: now.pool_idle,
            pool_waiting: now.pool_waiting,
            pool_max: now.pool_max,
            main_tasks: now.tasks,
            resident_bytes: now.resident_bytes,
            allocated_bytes: now.allocated_bytes,
            cpu_cores: spent.map(|spent| spent / interval_seconds),
            scheduling_delay_seconds: delays.quantile(0.99).or(Some(silent.as_secs_f64())),
            stalled: now.stalled,
        }
    }
}
