//! The switchboard: which faults are on, until when, and nothing else.

use std::{
    hash::RandomState,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::{
    Config,
    fault::{Fault, WORDS},
    inflicted::Over,
    lasting::{Hold, block_workers, keep_leaking_memory, leak_tasks},
    parse::{Known, parse},
};
use crate::telemetry::{self, Counter, Gauge, Metrics, Outage, catalog, tasks::spawn_on};

/// Which faults are on. Cheap to clone; clones are the same switchboard.
#[derive(Clone)]
pub struct Switchboard(Option<Arc<Inner>>);

pub(super) struct Inner {
    allowed: bool,
    known: Known,
    main: Handle,
    outage: Outage,
    /// Whether there is anything to ask `on` for: all that a request and a statement pay for where there is not.
    any: AtomicBool,
    on: Mutex<Board>,
    shown: Gauge,
    injected: Counter,
    pub(super) lots: RandomState,
    pub(super) drawn: AtomicU64,
}

#[derive(Default)]
struct Board {
    on: Option<On>,
    /// Counts the lists: a timer that comes too late ends no other list than its own.
    lists: u64,
    /// Whether nothing can be on any more.
    closed: bool,
}

/// What is on. Dropping it ends all of it.
struct On {
    faults: Arc<[Fault]>,
    until: Instant,
    timer: AbortHandle,
    over: watch::Sender<()>,
    outage: Option<Outage>,
    _holds: Vec<Hold>,
}

impl Drop for On {
    fn drop(&mut self) {
        self.timer.abort();
        if let Some(outage) = &self.outage {
            outage.end();
        }
    }
}

/// Why nothing was switched.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The settings do not allow any.
    #[error("no fault can be injected here: the setting faults.allowed is false")]
    Forbidden,
    /// The service stops, and is to come to its end.
    #[error("no fault can be injected any more: the service is stopping")]
    Stopping,
    /// What was asked for cannot be read; this is what is wrong.
    #[error("{0}")]
    Wrong(String),
}

impl Switchboard {
    /// One on which nothing can ever be on, for what is not the service.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// One on which nothing is on yet. What leaks and blocks does so on `main`; `outage` is the collector's.
    #[must_use]
    pub fn new(config: Config, known: Known, main: Handle, outage: Outage, metrics: &Metrics) -> Self {
        let (shown, injected) = (metrics.gauge(&catalog::FAULTS_ON), metrics.counter(&catalog::FAULTS_INJECTED));
        for word in WORDS {
            shown.set(&[word], 0.0);
            injected.add(&[word], 0);
        }
        Self(Some(Arc::new(Inner {
            allowed: config.allowed,
            known,
            main,
            outage,
            any: AtomicBool::new(false),
            on: Mutex::default(),
            shown,
            injected,
            lots: RandomState::new(),
            drawn: AtomicU64::new(0),
        })))
    }

    /// Whether anything can ever be on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.allowed)
    }

    /// Whether anything is on. Costs as good as nothing.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.any.load(Ordering::Relaxed))
    }

    /// Ends what is on, and begins what the text lists, for so long. Must be called on a runtime, which is the one
    /// that ends it: another one than `main`, or who blocks all of it is never stopped.
    ///
    /// # Errors
    /// As [`Refusal`] says; then nothing has changed.
    pub fn set(&self, list: &[u8], lasting: Duration) -> Result<(), Refusal> {
        let inner = self.0.as_ref().filter(|inner| inner.allowed).ok_or(Refusal::Forbidden)?;
        let faults: Arc<[Fault]> = parse(list, &inner.known).map_err(Refusal::Wrong)?.into();
        let mut board = inner.board();
        if board.closed {
            return Err(Refusal::Stopping);
        }
        let before = board.on.take();
        if faults.is_empty() {
            inner.ended(before, "faults were ended");
            return Ok(());
        }
        drop(before);
        board.lists += 1;
        board.on = Some(self.begin(inner, &faults, lasting, board.lists));
        inner.show(&faults);
        tracing::warn!(
            target: "glasshouse::faults",
            { faults.on = listed(&faults), faults.for = %humantime::format_duration(lasting) },
            "faults are injected"
        );
        Ok(())
    }

    fn begin(&self, inner: &Inner, faults: &Arc<[Fault]>, lasting: Duration, list: u64) -> On {
        let (over, ends) = watch::channel(());
        let (mut holds, mut outage) = (Vec::new(), None);
        for fault in &**faults {
            let (board, ends) = (self.clone(), ends.clone());
            match *fault {
                Fault::TaskLeak { per_second } => {
                    drop(spawn_on(&inner.main, "task leak", leak_tasks(per_second, board, ends)));
                }
                Fault::MemoryLeak { per_second } => {
                    drop(spawn_on(&inner.main, "memory leak", keep_leaking_memory(per_second, board, ends)));
                }
                Fault::BlockedWorker { workers } => holds.extend(block_workers(&inner.main, workers, &board)),
                Fault::UnreachableCollector => {
                    inner.outage.begin(move || board.count("unreachable_collector"));
                    outage = Some(inner.outage.clone());
                }
                // What is met waits for those who meet it.
                Fault::Met { .. } | Fault::RefusedPool => {}
            }
        }
        let board = self.clone();
        let timer = telemetry::spawn("end of faults", async move {
            sleep(lasting).await;
            board.expire(list);
        });
        let (until, timer) = (Instant::now() + lasting, timer.abort_handle());
        On { faults: Arc::clone(faults), until, timer, over, outage, _holds: holds }
    }

    /// Ends everything that is on.
    ///
    /// # Errors
    /// Where nothing can be.
    pub fn end(&self) -> Result<(), Refusal> {
        let inner = self.0.as_ref().filter(|inner| inner.allowed).ok_or(Refusal::Forbidden)?;
        let on = inner.board().on.take();
        inner.ended(on, "faults were ended");
        Ok(())
    }

    /// Ends everything that is on, for good.
    pub fn close(&self) {
        let Some(inner) = &self.0 else { return };
        let mut board = inner.board();
        board.closed = true;
        let on = board.on.take();
        inner.ended(on, "faults were ended");
    }

    fn expire(&self, list: u64) {
        let Some(inner) = &self.0 else { return };
        let mut board = inner.board();
        if board.lists == list {
            let on = board.on.take();
            inner.ended(on, "faults have ended by themselves");
        }
    }

    /// What is on and for how long yet, to be shown.
    #[must_use]
    pub fn shown(&self) -> Value {
        let board = self.0.as_ref().map(|inner| inner.board());
        let on = board.as_ref().and_then(|board| board.on.as_ref());
        json!({
            "allowed": self.is_allowed(),
            "on": on.map(|on| on.faults.iter().map(Fault::entry).collect::<Vec<_>>()).unwrap_or_default(),
            "ends_in_seconds": on.map(|on| on.until.saturating_duration_since(Instant::now()).as_secs_f64()),
        })
    }

    pub(super) fn inner(&self) -> Option<&Inner> {
        self.0.as_deref()
    }

    /// What is on now, and what tells of its end.
    pub(super) fn now(&self) -> Option<(Arc<[Fault]>, Over)> {
        let inner = self.0.as_ref().filter(|_| self.is_on())?;
        let board = inner.board();
        board.on.as_ref().map(|on| (Arc::clone(&on.faults), on.over.subscribe()))
    }

    /// One more was injected.
    pub(super) fn count(&self, word: &str) {
        if let Some(inner) = &self.0 {
            inner.injected.inc(&[word]);
        }
    }
}

impl Inner {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, faults: &[Fault]) {
        for word in WORDS {
            let count = faults.iter().filter(|fault| fault.word() == word).count();
            self.shown.set(&[word], f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        }
        self.any.store(!faults.is_empty(), Ordering::Relaxed);
    }

    /// Says and shows that these have ended, if there were any.
    fn ended(&self, on: Option<On>, words: &str) {
        let Some(on) = on else { return };
        self.show(&[]);
        tracing::warn!(target: "glasshouse::faults", { faults.on = listed(&on.faults) }, "{words}");
    }
}

fn listed(faults: &[Fault]) -> String {
    faults.iter().map(Fault::entry).collect::<Value>().to_string()
}
