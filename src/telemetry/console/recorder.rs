//! Beginning to record and ending it: each recording has a memory of its own, which goes when it ends.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use console_subscriber::{ConsoleLayer, ServerParts};
use tracing::callsite::rebuild_interest_cache;

use super::bounds::{Bounds, RETENTION};
use crate::telemetry::{Gauge, Metrics, catalog};

/// How many events wait to be taken in. That is begun when half of it is full.
const EVENTS: usize = 16 * 1024;
/// How many seconds a client may lag behind before it is let go; each may be megabytes.
const LAG: usize = 8;

/// Records what tokio tells of its tasks, when it is told to. Cheap to clone.
#[derive(Clone)]
pub struct Recorder(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) on: AtomicBool,
    /// Where what is recorded goes. The newest wins.
    console: RwLock<Option<Arc<ConsoleLayer>>>,
    pub(super) bounds: Bounds,
    gauge: Gauge,
}

impl Shared {
    pub(super) fn console(&self) -> Option<Arc<ConsoleLayer>> {
        self.console.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another one in its place, and has every callsite ask anew whether anybody listens.
    fn replace(&self, console: Option<Arc<ConsoleLayer>>) {
        let on = console.is_some();
        // Nothing may be dropped or asked while the lock is held: both may lead to events.
        let before = std::mem::replace(&mut *self.console.write().unwrap_or_else(PoisonError::into_inner), console);
        drop(before);
        self.on.store(on, SeqCst);
        self.gauge.set(&[], f64::from(u8::from(on)));
        rebuild_interest_cache();
    }
}

impl Recorder {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let gauge = metrics.gauge(&catalog::CONSOLE_ON);
        Self(Arc::new(Shared {
            on: AtomicBool::new(false),
            console: RwLock::new(None),
            bounds: Bounds::new(metrics),
            gauge,
        }))
    }

    /// Records from now on, until the result is dropped. There is one recording at a time: an older one records
    /// nothing any more.
    ///
    /// `receive` gets what serves the recording and what takes it in, which has to be run on a runtime until the
    /// recording ends. It is called before anything is recorded, so that what it spawns is not.
    pub fn begin<T>(&self, receive: impl FnOnce(ServerParts) -> T) -> (Recording, T) {
        let (console, server) = ConsoleLayer::builder()
            .retention(RETENTION)
            .event_buffer_capacity(EVENTS)
            .client_buffer_capacity(LAG)
            .build();
        let received = receive(server.into_parts());
        let console = Arc::new(console);
        self.0.replace(Some(Arc::clone(&console)));
        (Recording { shared: Arc::clone(&self.0), console }, received)
    }

    /// Gives free, as time passes, the places of what has ended. Has to be polled as long as something is recorded.
    pub async fn age(&self) {
        self.0.bounds.age().await;
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// Something is recorded while this lives.
#[must_use]
pub struct Recording {
    shared: Arc<Shared>,
    console: Arc<ConsoleLayer>,
}

impl Drop for Recording {
    fn drop(&mut self) {
        let is_newest = self.shared.console().is_some_and(|newest| Arc::ptr_eq(&newest, &self.console));
        if is_newest {
            self.shared.replace(None);
        }
    }
}
