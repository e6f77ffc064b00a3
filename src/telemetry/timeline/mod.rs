//! What the workers of a runtime do one after the other, noted while somebody asks for it: polls, parks, tasks that begin
//! and end.
//!
//! Whoever works waits for nobody: each thread writes to a lane of its own, and what it cannot write down at once is
//! counted as lost.

mod lane;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle, TaskMeta},
    task::Id,
};

use super::tasks::{Task, alive};
pub(super) use lane::called;
pub use lane::{Event, What};
use lane::{Lane, OWN};

/// The most events in one recording: some 15 MB.
pub const MOST: usize = 250_000;

/// The workers of one runtime. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Timeline(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The number of the recording that runs, or [`NONE`].
    recording: AtomicU64,
    begun: Mutex<Option<Begun>>,
}

/// Recordings are counted from 1.
const NONE: u64 = 0;
static RECORDINGS: AtomicU64 = AtomicU64::new(NONE + 1);

/// A recording that runs.
#[derive(Debug)]
struct Begun {
    number: u64,
    at: Instant,
    /// How many events there is room for in a lane.
    room: usize,
    lanes: Vec<Arc<Lane>>,
}

impl Timeline {
    /// Has a runtime that is yet to be built say what it does, in place of whatever was to be called at these points
    /// before. Where nobody records, that is a look at a number at each.
    pub fn install<'a>(&self, builder: &'a mut Builder) -> &'a mut Builder {
        let task = |note: fn(&Lane, &TaskMeta<'_>)| {
            let inner = Arc::clone(&self.0);
            move |task: &TaskMeta<'_>| inner.note(|lane| note(lane, task))
        };
        let thread = |note: fn(&Lane)| {
            let inner = Arc::clone(&self.0);
            move || inner.note(note)
        };
        builder
            .on_before_task_poll(task(|lane, task| lane.begin(What::Polled(task.id(), task.spawned_at()))))
            .on_after_task_poll(task(|lane, task| lane.end(What::Polled(task.id(), task.spawned_at()))))
            .on_task_spawn(task(|lane, task| lane.add(What::Spawned(task.id(), task.spawned_at()))))
            .on_task_terminate(task(|lane, task| lane.add(What::Ended(task.id()))))
            .on_thread_park(thread(|lane| lane.begin(What::Parked)))
            .on_thread_unpark(thread(|lane| lane.end(What::Parked)))
    }

    /// Begins a recording, in place of one that runs. To drop it is to end it.
    #[must_use]
    pub fn record(&self, runtime: &Handle) -> Recording {
        let number = RECORDINGS.fetch_add(1, Relaxed);
        let room = MOST / runtime.metrics().num_workers().max(1);
        *self.0.begun() = Some(Begun { number, at: Instant::now(), room, lanes: Vec::new() });
        self.0.recording.store(number, SeqCst);
        let polled = alive().into_iter().filter(|task| task.runtime == runtime.id() && task.is_polled()).collect();
        Recording { inner: Arc::clone(&self.0), number, runtime: runtime.clone(), polled }
    }
}

impl Inner {
    #[inline]
    fn note(&self, note: impl FnOnce(&Lane)) {
        let recording = self.recording.load(Relaxed);
        if recording != NONE {
            self.note_in(recording, note);
        }
    }

    #[cold]
    fn note_in(&self, recording: u64, note: impl FnOnce(&Lane)) {
        // A thread that is ending has no lane any more.
        OWN.try_with(|own| {
            let lane = own.borrow().upgrade().filter(|lane| lane.recording == recording);
            let lane = lane.or_else(|| {
                let lane = self.enter()?;
                *own.borrow_mut() = Arc::downgrade(&lane);
                Some(lane)
            });
            if let Some(lane) = lane {
                note(&lane);
            }
        })
        .ok();
    }

    /// A lane for this thread, once in a recording. Whoever holds the lock does no more than to enter, or to begin or
    /// end the recording.
    fn enter(&self) -> Option<Arc<Lane>> {
        let mut begun = self.begun();
        let begun = begun.as_mut()?;
        let lane = Arc::new(Lane::new(begun.number, begun.at, begun.room));
        begun.lanes.push(Arc::clone(&lane));
        Some(lane)
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, Option<Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the recording of that number, if it still runs.
    fn end(&self, number: u64) -> Option<Begun> {
        let mut begun = self.begun();
        begun.as_ref().filter(|begun| begun.number == number)?;
        self.recording.store(NONE, SeqCst);
        begun.take()
    }
}

/// A recording that runs until it is dropped.
#[derive(Debug)]
pub struct Recording {
    inner: Arc<Inner>,
    number: u64,
    runtime: Handle,
    /// The tasks that were being polled when it began.
    polled: Vec<Arc<Task>>,
}

impl Recording {
    /// Ends it; none if another was begun meanwhile. Takes as long as it takes to look through all events.
    #[must_use]
    pub fn end(mut self) -> Option<Recorded> {
        let begun = self.inner.end(self.number)?;
        let took = begun.at.elapsed();
        let (mut threads, mut names, mut all_lost) = (Vec::new(), HashMap::new(), 0);
        for lane in begun.lanes {
            let (mut pieces, doing, lost) = lane.take();
            if let Some((what, from)) = doing {
                pieces.push(vec![Event { from, until: took, what }]);
            }
            all_lost += lost;
            threads.push(Thread { name: lane.thread.clone(), pieces });
        }
        // Their workers have not come out of them since before the recording, and had nothing to say.
        let mut silent: HashMap<Id, Arc<Task>> = HashMap::new();
        for task in std::mem::take(&mut self.polled).into_iter().filter(|task| task.is_polled()) {
            silent.extend(task.tokio_id().map(|id| (id, task)));
        }
        for event in threads.iter().flat_map(|thread| thread.pieces.iter().flatten()) {
            match event.what {
                What::Called(task, name) => drop(names.insert(task, name)),
                What::Polled(task, _) => drop(silent.remove(&task)),
                _ => {}
            }
        }
        let id = self.runtime.id();
        let ours = alive().into_iter().filter(|task| task.runtime == id);
        names.extend(ours.filter_map(|task| Some((task.tokio_id()?, task.name))));
        threads.extend(silent.into_iter().map(|(id, task)| unseen(What::Polled(id, task.spawned_at), took)));
        Some(Recorded { took, threads, names: Arc::new(names), lost: all_lost })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        drop(self.inner.end(self.number));
    }
}

/// What was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// How long it took.
    pub took: Duration,
    /// Who did it. Tasks that a worker was in all the time, of which it said nothing, have a thread of their own.
    pub threads: Vec<Thread>,
    /// What tasks were begun as, as far as they are ours.
    pub names: Arc<HashMap<Id, &'static str>>,
    /// How many events there was no room for.
    pub lost: u64,
}

/// What one thread did.
#[derive(Debug)]
pub struct Thread {
    /// Its name.
    pub name: String,
    /// What it did, in the order in which that ended, in pieces of a few hundred.
    pub pieces: Vec<Vec<Event>>,
}

fn unseen(what: What, took: Duration) -> Thread {
    let event = Event { from: Duration::ZERO, until: took, what };
    Thread { name: "polling since before the recording".to_owned(), pieces: vec![vec![event]] }
}
