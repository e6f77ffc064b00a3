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
    /// When the question was asked that the runtime has not come to yet, in milliseconds since `since`; or [`NONE`].
    ///
    /// The age of the newest answer would do only if the watcher were never late itself: then a busy internal thread,
    /// or a process that was paused, would look like a service that is stuck, and be restarted for it.
    open: AtomicU64,
    limit: Duration,
}

const NONE: u64 = u64::MAX;

/// How often the runtime is asked. Ten tasks a second cost nothing that can be measured.
const PERIOD: Duration = Duration::from_millis(100);

impl Watch {
    /// Watches `main` from the internal thread for as long as that lives. A runtime that has not begun a task for
    /// `limit` counts as stalled.
    #[must_use]
    pub fn start(thread: &Thread, main: Handle, limit: Duration, metrics: &Metrics) -> Self {
        let watch = Self(Arc::new(Inner { since: Instant::now(), open: AtomicU64::new(NONE), limit }));
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
            self.0.open.store(millis(self.0.since.elapsed()), SeqCst);
            let watch = self.clone();
            let mut question = main.spawn(async move { watch.answer() });
            // One question at a time: a runtime that is stuck must not find a heap of them afterwards.
            loop {
                tokio::select! {
                    result = &mut question => {
                        if result.is_err() {
                            // Cancelled: the runtime is being shut down, and there is nothing left to watch.
                            self.answer();
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
        self.0.open.store(NONE, SeqCst);
    }

    /// How long the main runtime has been stuck, if that is longer than the limit.
    #[must_use]
    pub fn stalled_for(&self) -> Option<Duration> {
        let open = self.0.open.load(SeqCst);
        let silent = self.0.since.elapsed().checked_sub(Duration::from_millis(open))?;
        (silent > self.0.limit).then_some(silent)
    }
}

/// The value of the label `runtime`.
const MAIN: &str = "main";

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        time::{Duration, Instant},
    };

    use tokio::runtime::Builder;

    use super::{Thread, Watch};
    use crate::telemetry::Metrics;

    #[test]
    fn a_watcher_that_is_late_itself_blames_nobody() {
        let limit = Duration::from_millis(50);
        let main = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let thread = Thread::start().unwrap();
        let metrics = Metrics::new(10);
        let watch = Watch::start(&thread, main.handle().clone(), limit, &metrics);
        let asked = || {
            let families = metrics.gather();
            let delays = families.iter().find(|family| family.name().ends_with("scheduling_delay_seconds")).unwrap();
            delays.get_metric()[0].get_histogram().get_sample_count()
        };
        while asked() == 0 {
            std::thread::yield_now();
        }
        // The internal thread does something else for longer than the limit, and looks right after it.
        let (seen, result) = mpsc::channel();
        thread.runtime().spawn(async move {
            let began = Instant::now();
            while began.elapsed() < limit * 3 {
                std::thread::yield_now();
            }
            seen.send(watch.stalled_for()).unwrap();
        });
        assert_eq!(result.recv().unwrap(), None);
    }
}
