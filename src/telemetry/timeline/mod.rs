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
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle, TaskMeta},
    task::Id,
};

use super::{
    awake::AwakeWorkers,
    tasks::{Poll, Task, alive, under_way},
};
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
    /// How many events there is room for in a lane, and how many more in all of them.
    room: usize,
    left: Arc<AtomicUsize>,
    lanes: Vec<Arc<Lane>>,
}

impl Timeline {
    /// Has a runtime that is yet to be built say what it does, and which of its workers are awake, in place of whatever was
    /// to be called at these points before. While no recording runs, that is one load at each.
    pub fn install<'a>(&self, builder: &'a mut Builder, awake: &AwakeWorkers) -> &'a mut Builder {
        let task = |note: fn(&Lane, &TaskMeta<'_>)| {
            let inner = Arc::clone(&self.0);
            move |task: &TaskMeta<'_>| inner.note(|lane| note(lane, task))
        };
        let (parking, parked, unparked) = (Arc::clone(&self.0), awake.clone(), awake.clone());
        let unparking = Arc::clone(&self.0);
        builder
            .on_before_task_poll(task(|lane, task| lane.begin(What::Polled(task.id(), task.spawned_at()))))
            .on_after_task_poll(task(|lane, task| lane.end(What::Polled(task.id(), task.spawned_at()))))
            .on_task_spawn(task(|lane, task| lane.add(What::Spawned(task.id(), task.spawned_at()))))
            .on_task_terminate(task(|lane, task| lane.add(What::Ended(task.id()))))
            .on_thread_park(move || {
                parking.note(|lane| lane.begin(What::Parked));
                parked.parks();
            })
            .on_thread_unpark(move || {
                unparked.unparks();
                unparking.note(|lane| lane.end(What::Parked));
            })
    }

    /// Begins a recording, in place of one that runs. To drop it is to end it.
    #[must_use]
    pub fn record(&self, runtime: &Handle) -> Recording {
        let number = RECORDINGS.fetch_add(1, Relaxed);
        let room = MOST / runtime.metrics().num_workers().max(1);
        *self.0.begun() =
            Some(Begun { number, at: Instant::now(), room, left: Arc::new(AtomicUsize::new(MOST)), lanes: Vec::new() });
        self.0.recording.store(number, SeqCst);
        let polled = under_way().into_iter().map(|(_, poll)| poll).collect();
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
        let lane = Arc::new(Lane::new(begun.number, begun.at, begun.room, Arc::clone(&begun.left)));
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
    /// What was being polled when it began.
    polled: Vec<Poll>,
}

impl Recording {
    /// Ends it; none if another was begun meanwhile. Takes as long as it takes to look through all events.
    #[must_use]
    pub fn end(self) -> Option<Recorded> {
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
        for event in threads.iter().flat_map(|thread| thread.pieces.iter().flatten()) {
            if let What::Called(task, name) = event.what {
                names.insert(task, name);
            }
        }
        let id = self.runtime.id();
        let ours: HashMap<u64, Arc<Task>> =
            alive().into_iter().filter(|task| task.runtime == id).map(|task| (task.id, task)).collect();
        names.extend(ours.values().filter_map(|task| Some((task.tokio_id()?, task.name))));
        // Whose worker has not come out of it since before the recording has had nothing to say.
        for (thread, poll) in under_way().into_iter().filter(|(_, poll)| self.polled.contains(poll)) {
            if let Some((task, tokio_id)) = ours.get(&poll.task).and_then(|task| Some((task, task.tokio_id()?))) {
                let what = What::Polled(tokio_id, task.spawned_at);
                let pieces = vec![vec![Event { from: Duration::ZERO, until: took, what }]];
                threads.push(Thread { name: thread.name.clone(), pieces });
            }
        }
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
    /// Who did it. A thread that was in one poll all the time has that one event.
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
