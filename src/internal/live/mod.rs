//! `/debug/live`: the process's own numbers of the last minutes, recorded whether or not anybody looks, so that the
//! past is there when somebody does.
//!
//! Recorded on the internal runtime from what the registry knows: nothing here waits for the main runtime.

mod reading;
mod totals;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use self::{reading::Reading, totals::Totals};
use super::{Thread, pprof::Query};
use crate::telemetry::{AwakeWorkers, BUILD, Metrics, catalog};

/// How often the numbers are read. Longer, and a peak would be gone; shorter, and it would be noise.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many readings are kept: five minutes.
const KEPT: usize = 150;

/// What was read. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    awake: AwakeWorkers,
    began: Instant,
    /// Tells a process from the one before it, which counted from 1 too.
    started_seconds: f64,
    recorded: Mutex<Recorded>,
}

/// The newest totals, and the readings that came of them.
struct Recorded {
    totals: Totals,
    /// When the main runtime last answered, or had nothing to do, as far as can be seen.
    answered: Instant,
    number: u64,
    readings: VecDeque<Reading>,
}

impl Live {
    /// Records from now on what the registry says, and whether a worker of the main runtime is awake, on the internal
    /// thread and for as long as that lives.
    #[must_use]
    pub fn start(thread: &Thread, metrics: &Metrics, awake: AwakeWorkers) -> Self {
        let live = Self::new(metrics, awake);
        let recording = live.clone();
        thread.runtime().spawn(async move {
            let mut ticks = tokio::time::interval(INTERVAL);
            // A process that was paused has not had the intervals that it missed.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                recording.record();
            }
        });
        live
    }

    fn new(metrics: &Metrics, awake: AwakeWorkers) -> Self {
        let (totals, began) = (Totals::read(metrics), Instant::now());
        let recorded = Recorded { totals, answered: began, number: 0, readings: VecDeque::with_capacity(KEPT) };
        let started = metrics.values(&catalog::PROCESS_START_TIME);
        let started_seconds = started.first().map_or(0.0, |sample| sample.number);
        Self(Arc::new(Inner {
            metrics: metrics.clone(),
            awake,
            began,
            started_seconds,
            recorded: Mutex::new(recorded),
        }))
    }

    fn record(&self) {
        let now = Totals::read(&self.0.metrics);
        let mut recorded = self.recorded();
        // A runtime without a worker that is awake is asked nothing.
        if now.delays.count() != recorded.totals.delays.count() || !self.0.awake.any() {
            recorded.answered = now.at;
        }
        recorded.number += 1;
        let (number, at) = (recorded.number, now.at.duration_since(self.0.began));
        let silent = now.at.duration_since(recorded.answered);
        let reading = Reading::between(number, at, &recorded.totals, &now, silent);
        recorded.totals = now;
        if recorded.readings.len() == KEPT {
            recorded.readings.pop_front();
        }
        recorded.readings.push_back(reading);
    }

    /// The readings after that number; all of them if there is no such number yet: it is another process's.
    fn after(&self, number: u64) -> Vec<Reading> {
        let recorded = self.recorded();
        let number = if number > recorded.number { 0 } else { number };
        recorded.readings.iter().filter(|reading| reading.number > number).cloned().collect()
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.0.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `since=N` leaves out what the asker has: readings up to that number. Anything else there is no reason to refuse.
pub(super) async fn show(State(live): State<Live>, query: Query) -> Response {
    let since = query.get("since").and_then(|number| number.parse().ok()).unwrap_or_default();
    let Inner { metrics, began, started_seconds, .. } = &*live.0;
    let faults = metrics.values(&catalog::FAULTS_ON);
    let mut faults: Vec<_> =
        faults.iter().filter(|fault| fault.number > 0.0).map(|fault| fault.label("fault")).collect();
    // A family's series come in no order.
    faults.sort_unstable();
    let page = json!({
        "version": BUILD.version,
        "revision": BUILD.revision,
        "started_seconds": started_seconds,
        "uptime_seconds": began.elapsed().as_secs_f64(),
        "interval_seconds": INTERVAL.as_secs_f64(),
        "window_seconds": INTERVAL.as_secs_f64() * f64::from(u32::try_from(KEPT).unwrap_or(u32::MAX)),
        "faults": faults,
        "is_recording_requests": metrics.is_recording(),
        "readings": live.after(since),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::{AwakeWorkers, KEPT, Live, Metrics, catalog};

    fn live(metrics: &Metrics) -> Live {
        Live::new(metrics, AwakeWorkers::new(1))
    }

    #[test]
    fn what_is_kept_is_bounded_and_given_out_once() {
        let live = live(&Metrics::new(10));
        for _ in 0..KEPT + 5 {
            live.record();
        }
        let all = live.after(0);
        assert_eq!((all.len(), all[0].number), (KEPT, 6));
        let newest = live.after(KEPT as u64 + 4);
        assert_eq!(newest.iter().map(|reading| reading.number).collect::<Vec<_>>(), [KEPT as u64 + 5]);
        assert!(live.after(KEPT as u64 + 5).is_empty());
        assert_eq!(live.after(KEPT as u64 + 6), all, "a number of another process");
    }

    #[test]
    fn a_reading_is_of_its_interval_alone() {
        let metrics = Metrics::new(10);
        let requests = metrics.histogram(&catalog::HTTP_SERVER_REQUEST_DURATION);
        let answered =
            |status, times| (0..times).for_each(|_| requests.observe(&["GET", "/", status, "", "http"], 0.3));
        answered("500", 7);
        let live = live(&metrics);
        answered("200", 3);
        answered("503", 1);
        live.record();
        live.record();
        let readings = live.after(0);
        let share = readings[0].error_share.unwrap();
        assert!((share - 0.25).abs() < 1e-9, "{share}");
        assert!(readings[0].requests_per_second > readings[0].errors_per_second * 3.9);
        let p50 = readings[0].latency_p50_seconds.unwrap();
        assert!((p50 - 0.375).abs() < 1e-9, "the middle between 0.25 and 0.5, and not {p50}");
        assert_eq!((readings[1].error_share, readings[1].latency_p99_seconds), (None, None));
    }

    #[test]
    fn a_main_runtime_that_answers_nothing_shows_for_how_long() {
        let metrics = Metrics::new(10);
        let delay = metrics.histogram(&catalog::TOKIO_SCHEDULING_DELAY);
        let live = live(&metrics);
        delay.observe(&["main"], 0.000_07);
        live.record();
        live.record();
        let answered = live.recorded().answered;
        live.record();
        let readings = live.after(0);
        let delays: Vec<f64> = readings.iter().map(|reading| reading.scheduling_delay_seconds.unwrap()).collect();
        assert!(delays[0] <= 0.000_1, "what was observed: {delays:?}");
        assert!(delays[2] > delays[1] && delays[1] > 0.0, "longer and longer: {delays:?}");
        assert_eq!(live.recorded().answered, answered);
        live.0.awake.parks();
        live.record();
        assert_ne!(live.recorded().answered, answered, "it has nothing to do");
    }
}
