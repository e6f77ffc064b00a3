//! Whether to send traffic: latches that parts hold until they can serve, and checks that ask what they depend on.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::check::Check;
use crate::telemetry::{Gauge, Metrics, Place, catalog};

/// Ready when no latch is held and every check succeeds. Cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    latches: Mutex<Vec<(&'static str, Arc<AtomicBool>)>>,
    checks: Mutex<Vec<Arc<Check>>>,
    looks: Mutex<Vec<(&'static str, Arc<Look>)>>,
    gauge: Gauge,
}

/// Says at once whether a part can serve; the text says why not.
type Look = dyn Fn() -> Result<(), String> + Send + Sync;

/// Whether one part can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The word in `glasshouse_ready{check}`.
    pub name: &'static str,
    /// Why it cannot; nothing if it can. For the internal port only: it may name hosts.
    pub problem: Option<String>,
}

impl Readiness {
    /// Nothing is held, nothing is asked: ready.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let gauge = metrics.gauge(&catalog::READY);
        let inner = Inner { latches: Mutex::default(), checks: Mutex::default(), looks: Mutex::default(), gauge };
        Self(Arc::new(inner))
    }

    /// Holds readiness back until the latch is released.
    #[must_use]
    pub fn latch(&self, name: &'static str) -> Latch {
        let open = Arc::new(AtomicBool::new(false));
        lock(&self.0.latches).push((name, Arc::clone(&open)));
        self.0.gauge.set(&[name], 0.0);
        Latch { name, open, gauge: self.0.gauge.clone() }
    }

    /// Has a dependency asked whenever somebody wants to know, at most once a second, for at most `timeout`.
    ///
    /// It is asked on the runtime that this is called on, whoever wants to know and whether or not they wait for the
    /// answer: a connection that is opened for it lives there, and a probe that gives up changes nothing. Nothing of it is
    /// traced.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn check(
        &self,
        name: &'static str,
        timeout: Duration,
        ask: impl Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) {
        let untraced = move || -> BoxFuture<'static, Result<(), String>> {
            let asking = ask();
            Box::pin(async move { Place::untraced().within(asking).await })
        };
        let check = Check::new(name, Handle::current(), timeout, Box::new(untraced), self.0.gauge.clone());
        lock(&self.0.checks).push(Arc::new(check));
    }

    /// Has a part looked at whenever somebody wants to know, after all dependencies were asked: it may be what they
    /// answer that lets it serve again. Looking must not wait.
    pub fn look(&self, name: &'static str, look: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.0.gauge.set(&[name], 0.0);
        lock(&self.0.looks).push((name, Arc::new(look)));
    }

    /// Every part, latches first, in the order in which they were named.
    pub async fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = lock(&self.0.latches)
            .iter()
            .map(|(name, open)| Part { name, problem: (!open.load(SeqCst)).then(|| "held".to_owned()) })
            .collect();
        // Before anything that waits: whoever gives up waiting has been shown something.
        drop(self.looks());
        let checks = lock(&self.0.checks).clone();
        for check in checks {
            let problem = check.answer().await.err();
            parts.push(Part { name: check.name(), problem });
        }
        parts.extend(self.looks());
        parts
    }

    fn looks(&self) -> Vec<Part> {
        let looks = lock(&self.0.looks).clone();
        let looks = looks.into_iter().map(|(name, look)| {
            let problem = look().err();
            self.0.gauge.set(&[name], if problem.is_none() { 1.0 } else { 0.0 });
            Part { name, problem }
        });
        looks.collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held at first. Released when its owner can serve, held again when it is about to stop.
pub struct Latch {
    name: &'static str,
    open: Arc<AtomicBool>,
    gauge: Gauge,
}

impl Latch {
    /// The owner can serve.
    pub fn release(&self) {
        self.open.store(true, SeqCst);
        self.gauge.set(&[self.name], 1.0);
    }

    /// Whether its owner can serve and is not about to stop.
    pub fn is_released(&self) -> bool {
        self.open.load(SeqCst)
    }

    /// The owner cannot, or soon will not.
    pub fn hold(&self) {
        self.open.store(false, SeqCst);
        self.gauge.set(&[self.name], 0.0);
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readiness")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering::SeqCst},
        },
        time::Duration,
    };

    use super::Readiness;
    use crate::telemetry::Metrics;

    async fn is_ready(readiness: &Readiness) -> bool {
        readiness.parts().await.iter().all(|part| part.problem.is_none())
    }

    #[tokio::test]
    async fn probes_cannot_become_load() {
        let (readiness, asked) = (Readiness::new(&Metrics::new(100)), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&asked);
        readiness.check("store", Duration::from_mins(1), move || {
            counted.fetch_add(1, SeqCst);
            Box::pin(async { Err("away".to_owned()) })
        });
        for _ in 0..100 {
            assert!(!is_ready(&readiness).await);
        }
        // A machine that is very busy may take longer for a hundred answers than one is remembered.
        assert!(asked.load(SeqCst) < 10, "{asked:?}");
    }

    #[tokio::test]
    async fn what_does_not_answer_in_time_is_not_ready() {
        let readiness = Readiness::new(&Metrics::new(100));
        readiness.check("store", Duration::from_millis(5), || Box::pin(std::future::pending()));
        let [part] = &readiness.parts().await[..] else { panic!("one part") };
        assert_eq!((part.name, part.problem.as_deref()), ("store", Some("no answer within 5ms")));
    }

    #[tokio::test]
    async fn a_latch_that_is_held_holds_readiness() {
        let readiness = Readiness::new(&Metrics::new(100));
        assert!(is_ready(&readiness).await);
        let latch = readiness.latch("public");
        assert!(!is_ready(&readiness).await);
        latch.release();
        assert!(is_ready(&readiness).await);
        latch.hold();
        assert!(!is_ready(&readiness).await);
    }
}
