//! Asking one dependency whether it is there: seldom, for a bounded time, on the runtime that the dependency belongs to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, sync::watch, time::timeout};

use crate::telemetry::{self, Gauge};

/// How long an answer is believed, so that probes cannot become load.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Asks the dependency; the text says why it cannot serve.
pub(super) type Ask = Box<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>;
type Answer = Result<(), String>;

/// One dependency, and what it last said.
pub(super) struct Check {
    name: &'static str,
    runtime: Handle,
    timeout: Duration,
    ask: Ask,
    gauge: Gauge,
    asking: AtomicBool,
    has_succeeded: AtomicBool,
    newest: watch::Sender<Option<(Instant, Answer)>>,
}

impl Check {
    pub(super) fn new(name: &'static str, runtime: Handle, timeout: Duration, ask: Ask, gauge: Gauge) -> Self {
        gauge.set(&[name], 0.0);
        Self {
            name,
            runtime,
            timeout,
            ask,
            gauge,
            asking: AtomicBool::new(false),
            has_succeeded: AtomicBool::new(false),
            newest: watch::Sender::new(None),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// The remembered answer, or a new one. Those who ask at the same time share one question.
    pub(super) async fn answer(self: &Arc<Self>) -> Answer {
        // Before anything else: whatever is answered from now on is news.
        let mut news = self.newest.subscribe();
        if let Some((_, answer)) = news.borrow().as_ref().filter(|(at, _)| at.elapsed() < REMEMBERED) {
            return answer.clone();
        }
        if !self.asking.swap(true, SeqCst) {
            let question = Question(Arc::clone(self));
            let _runtime = self.runtime.enter();
            drop(telemetry::spawn("check", async move { question.0.ask().await }));
        }
        if let Ok(Ok(())) = timeout(self.timeout, news.changed()).await {
            return news.borrow().as_ref().map_or_else(|| self.silence(), |(_, answer)| answer.clone());
        }
        // The runtime is stuck, or was shut down: whoever was to ask never came to it.
        let silence = self.silence();
        self.show(&silence);
        silence
    }

    async fn ask(&self) {
        let answer = timeout(self.timeout, (self.ask)()).await.unwrap_or_else(|_| self.silence());
        self.show(&answer);
        self.log_change(&answer);
        self.newest.send_replace(Some((Instant::now(), answer)));
    }

    fn show(&self, answer: &Answer) {
        self.gauge.set(&[self.name], if answer.is_ok() { 1.0 } else { 0.0 });
    }

    /// Writes one line when the answer becomes bad, has another reason, or becomes good again. A failure before the first
    /// success is no warning: the service is still starting, and what it waits for may be what the check misses.
    fn log_change(&self, answer: &Answer) {
        let previous = self.newest.borrow().as_ref().map(|(_, answer)| answer.clone());
        if previous.as_ref() == Some(answer) {
            return;
        }
        match answer {
            Ok(()) => {
                let had_failed = previous.is_some();
                if !self.has_succeeded.swap(true, SeqCst) && !had_failed {
                    return;
                }
                tracing::info!(target: "glasshouse::lifecycle", { check.name = self.name }, "readiness check succeeded");
            }
            Err(reason) if self.has_succeeded.load(SeqCst) => tracing::warn!(
                target: "glasshouse::lifecycle",
                { check.name = self.name, error.message = %reason },
                "readiness check failed"
            ),
            Err(reason) => tracing::info!(
                target: "glasshouse::lifecycle",
                { check.name = self.name, error.message = %reason },
                "readiness check has not succeeded yet"
            ),
        }
    }

    fn silence(&self) -> Answer {
        Err(format!("no answer within {:?}", self.timeout))
    }
}

/// A question under way. However it ends, the next one may be asked.
struct Question(Arc<Check>);

impl Drop for Question {
    fn drop(&mut self) {
        self.0.asking.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        thread::{self, ThreadId},
        time::Duration,
    };

    use futures_util::FutureExt;
    use tokio::{runtime::Builder, sync::Semaphore};

    use crate::{
        lifecycle::Readiness,
        telemetry::{self, Metrics},
    };

    const LONG: Duration = Duration::from_mins(1);

    fn shown(metrics: &Metrics) -> f64 {
        let families = metrics.gather();
        let family = families.iter().find(|family| family.name() == "glasshouse_ready").unwrap();
        family.get_metric()[0].get_gauge().get_value()
    }

    #[tokio::test]
    async fn a_probe_that_gives_up_does_not_keep_the_answer_from_being_seen() {
        let metrics = Metrics::new(10);
        let readiness = Readiness::new(&metrics);
        let gate = Arc::new(Semaphore::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let (opens, asks) = (Arc::clone(&gate), Arc::clone(&asked));
        readiness.check("store", LONG, move || {
            asks.fetch_add(1, SeqCst);
            let opens = Arc::clone(&opens);
            async move { opens.acquire().await.map(drop).map_err(|error| error.to_string()) }.boxed()
        });
        for _ in 0..3 {
            assert!(readiness.parts().now_or_never().is_none(), "nobody has answered yet");
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
        while shown(&metrics) < 1.0 {
            tokio::task::yield_now().await;
        }
        assert!(readiness.parts().await[0].problem.is_none());
        assert_eq!(asked.load(SeqCst), 1, "those who ask at the same time share one question");
    }

    #[test]
    fn the_question_is_asked_where_the_check_was_made_whoever_wants_to_know() {
        let main = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let readiness = Readiness::new(&Metrics::new(10));
        let asked_on: Arc<Mutex<Option<ThreadId>>> = Arc::default();
        let kept = Arc::clone(&asked_on);
        {
            let _main = main.enter();
            readiness.check("store", LONG, move || {
                *kept.lock().unwrap() = Some(thread::current().id());
                async { Ok(()) }.boxed()
            });
        }
        let worker =
            main.block_on(async { telemetry::spawn("worker", async { thread::current().id() }).await.unwrap() });
        let elsewhere = Builder::new_current_thread().enable_all().build().unwrap();
        assert!(elsewhere.block_on(readiness.parts())[0].problem.is_none());
        assert_eq!(*asked_on.lock().unwrap(), Some(worker));
    }
}
