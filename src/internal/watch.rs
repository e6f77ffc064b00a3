//! Watches the main runtime from outside: gives it a task now and then, and sees how long it takes to begin.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, time::MissedTickBehavior};

use super::Thread;
use crate::telemetry::{Gauge, Histogram, Metrics, catalog};

/// What the watcher has seen. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    since: Instant,
    /// When the runtime last began a task of the watcher's, in milliseconds since `since`.
    answered: AtomicU64,
    limit: Duration,
}

/// How often the runtime is asked. Ten tasks a second cost nothing that can be measured.
const PERIOD: Duration = Duration::from_millis(100);

impl Watch {
    /// Watches `main` from the internal thread for as long as that lives. A runtime that has not begun a task for
    /// `limit` counts as stalled.
    #[must_use]
    pub fn start(thread: &Thread, main: Handle, limit: Duration, metrics: &Metrics) -> Self {
        let watch = Self(Arc::new(Inner { since: Instant::now(), answered: AtomicU64::new(0), limit }));
        let delay = metrics.histogram(&catalog::TOKIO_SCHEDULING_DELAY);
        let stalled = metrics.gauge(&catalog::TOKIO_STALLED);
        delay.appear(&[MAIN]);
        stalled.set(&[MAIN], 0.0);
        thread.runtime().spawn(watch.clone().run(main, delay, stalled));
        watch
    }

    async fn run(self, main: Handle, delay: Histogram, stalled: Gauge) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let asked = Instant::now();
            let watch = self.clone();
            let mut question = main.spawn(async move { watch.answer() });
            // One question at a time: a runtime that is stuck must not find a heap of them afterwards.
            loop {
                tokio::select! {
                    result = &mut question => {
                        if result.is_err() {
                            // Cancelled: the runtime is being shut down, and there is nothing left to watch.
                            return;
                        }
                        break;
                    }
                    () = tokio::time::sleep(PERIOD) => stalled.set(&[MAIN], f64::from(u8::from(self.stalled_for().is_some()))),
                }
            }
            delay.observe(&[MAIN], asked.elapsed().as_secs_f64());
            stalled.set(&[MAIN], 0.0);
        }
    }

    fn answer(&self) {
        self.0.answered.store(millis(self.0.since.elapsed()), SeqCst);
    }

    /// How long the main runtime has been stuck, if that is longer than the limit.
    #[must_use]
    pub fn stalled_for(&self) -> Option<Duration> {
        let answered = Duration::from_millis(self.0.answered.load(SeqCst));
        let silent = self.0.since.elapsed().saturating_sub(answered);
        (silent > self.0.limit).then_some(silent)
    }
}

/// The value of the label `runtime`.
const MAIN: &str = "main";

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
