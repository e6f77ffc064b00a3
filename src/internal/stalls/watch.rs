//! Watches the main runtime from the internal thread: asks it something now and then, sees how long it takes to begin
//! with it, and looks at what its workers poll.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, task::JoinHandle, time::MissedTickBehavior};

use super::{MAIN, journal::Journal, recent::Recent, workers::suspects};
use crate::{
    internal::{Config, Thread},
    telemetry::{AwakeWorkers, Histogram, Metrics, catalog},
};

/// What the watcher has seen. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    since: Instant,
    /// When the question was asked that the runtime has not come to yet, in nanoseconds since `since`; or [`NONE`].
    ///
    /// The age of the newest answer would do only if the watcher were never late itself: then a busy internal thread,
    /// or a process that was paused, would look like a service that is stuck, and be restarted for it.
    open: AtomicU64,
    limit: Duration,
    recent: Recent,
}

const NONE: u64 = u64::MAX;

/// How often the runtime is looked at and asked while it works. Ten tasks a second cost nothing that can be measured.
const PERIOD: Duration = Duration::from_millis(100);

impl Watch {
    /// Watches `main`, whose workers `awake` counts, from the internal thread for as long as that lives.
    #[must_use]
    pub fn start(thread: &Thread, main: Handle, awake: AwakeWorkers, config: &Config, metrics: &Metrics) -> Self {
        let recent = Recent::default();
        let journal = Journal::new(config.stall_after, recent.clone(), metrics);
        let (open, limit) = (AtomicU64::new(NONE), config.stall_limit);
        let watch = Self(Arc::new(Inner { since: Instant::now(), open, limit, recent }));
        let delay = metrics.histogram(&catalog::TOKIO_SCHEDULING_DELAY);
        delay.appear(&[MAIN]);
        thread.runtime().spawn(watch.clone().run(main, awake, config.stall_after, delay, journal));
        watch
    }

    async fn run(self, main: Handle, awake: AwakeWorkers, after: Duration, delay: Histogram, mut journal: Journal) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let workers = main.metrics();
        let mut question = self.ask(&main);
        loop {
            ticks.tick().await;
            // One question at a time: a runtime that is stuck must not find a heap of them afterwards.
            if question.is_finished() {
                let Ok(took) = question.await else {
                    // Cancelled: the runtime is being shut down, and there is nothing left to watch.
                    self.0.open.store(NONE, SeqCst);
                    return;
                };
                delay.observe(&[MAIN], took.as_secs_f64());
                // Where no worker is awake, none is stuck, and a question would wake one.
                if !awake.any() {
                    awake.wait().await;
                    ticks.reset();
                }
                question = self.ask(&main);
            }
            // A little early, so that each stall is suspected at least once before it is one.
            let suspects = suspects(&workers, after.saturating_sub(PERIOD), self.question());
            let watch = self.clone();
            journal.look(&suspects, move || watch.question());
        }
    }

    /// Gives the runtime a task that tells how long it waited.
    fn ask(&self, main: &Handle) -> JoinHandle<Duration> {
        let asked = self.0.since.elapsed();
        self.0.open.store(u64::try_from(asked.as_nanos()).unwrap_or(NONE), SeqCst);
        let watch = self.clone();
        main.spawn(async move {
            watch.0.open.store(NONE, SeqCst);
            watch.0.since.elapsed().saturating_sub(asked)
        })
    }

    /// When the question was asked that is open, if one is.
    fn question(&self) -> Option<Instant> {
        let open = self.0.open.load(SeqCst);
        (open != NONE).then(|| self.0.since + Duration::from_nanos(open))
    }

    /// How long the main runtime has come to nothing new, if that is longer than the limit.
    #[must_use]
    pub fn stalled_for(&self) -> Option<Duration> {
        self.question().map(|asked| asked.elapsed()).filter(|silent| *silent > self.0.limit)
    }

    pub(super) fn recent(&self) -> &Recent {
        &self.0.recent
    }
}
#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::mpsc,
        time::{Duration, Instant},
    };

    use tokio::runtime::Builder;

    use super::{Config, Thread, Watch};
    use crate::telemetry::{AwakeWorkers, Metrics};

    #[test]
    fn a_watcher_that_is_late_itself_blames_nobody() {
        let limit = Duration::from_millis(50);
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: None,
            require_token_on_loopback: false,
            hosts: Vec::new(),
            stall_after: limit,
            stall_limit: limit,
            console: false,
            heap_sampling: false,
        };
        let main = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let thread = Thread::start().unwrap();
        let metrics = Metrics::new(10);
        let watch = Watch::start(&thread, main.handle().clone(), AwakeWorkers::new(1), &config, &metrics);
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
