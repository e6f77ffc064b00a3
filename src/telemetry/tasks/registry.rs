//! Which tasks are alive.

use std::{
    collections::HashMap,
    panic::Location,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
    time::Instant,
};

use tokio::{
    runtime::{Handle, Id},
    task,
};

use super::{asking::Asking, dump::Question};
use crate::telemetry::timeline;

/// A task that was begun with [`super::spawn`].
#[derive(Debug)]
pub struct Task {
    /// Counts up from 1 in this process.
    pub id: u64,
    /// What it was begun as.
    pub name: &'static str,
    /// Where it was begun.
    pub spawned_at: &'static Location<'static>,
    /// When it was begun.
    pub since: Instant,
    /// Whose task it is: there may be several services in one process.
    pub runtime: Id,
    asking: Asking<Begun, Question>,
}

/// What a task knows of itself once it has been polled.
#[derive(Debug)]
struct Begun {
    /// Tokio gives a task one waker for its whole life.
    waker: Waker,
    tokio_id: Option<task::Id>,
}

impl Task {
    /// Tokio's number for it, which its hooks are told; none before its first poll.
    #[must_use]
    pub fn tokio_id(&self) -> Option<task::Id> {
        self.asking.waker().and_then(|begun| begun.tokio_id)
    }

    /// Puts a question, in place of one that it has not answered, and has it come to it.
    pub(super) fn ask(&self, question: Question) {
        self.asking.ask(question, |begun| begun.waker.wake_by_ref());
    }

    /// Takes the question back, if it has not been answered.
    pub(super) fn take_question(&self) -> Option<Question> {
        self.asking.take()
    }

    #[cfg(test)]
    pub(super) fn is_asked(&self) -> bool {
        self.asking.is_asked()
    }

    /// Says that a poll begins. Only the task itself says so.
    #[inline]
    pub(super) fn begin(&self, waker: &Waker) {
        self.asking.begin(|| Begun { waker: waker.clone(), tokio_id: task::try_id() });
        debug_assert!(
            self.asking.waker().is_some_and(|begun| begun.waker.will_wake(waker)),
            "the waker that is kept is not the task's any more"
        );
    }
}

/// Tasks come and go on every worker at once: one lock would be waited for.
const SHARDS: usize = 16;
type Shard = Mutex<Option<HashMap<u64, Arc<Task>>>>;
static SHARD: [Shard; SHARDS] = [const { Mutex::new(None) }; SHARDS];
static IDS: AtomicU64 = AtomicU64::new(1);

/// The tasks that have not ended, the oldest first.
#[must_use]
pub fn alive() -> Vec<Arc<Task>> {
    let mut tasks = Vec::new();
    for shard in &SHARD {
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.extend(shard.iter().flatten().map(|(_, task)| Arc::clone(task)));
    }
    tasks.sort_by_key(|task| task.id);
    tasks
}

/// The task with that number, if it has not ended.
#[must_use]
pub fn find(id: u64) -> Option<Arc<Task>> {
    with_shard(id, |tasks| tasks.get(&id).map(Arc::clone))
}

/// Keeps a task in the list until it is dropped.
#[derive(Debug)]
pub(super) struct Listed(pub(super) Arc<Task>);

impl Listed {
    /// Enters a task of the current runtime.
    pub(super) fn new(name: &'static str, spawned_at: &'static Location<'static>) -> Self {
        let id = IDS.fetch_add(1, Relaxed);
        let task = Arc::new(Task {
            id,
            name,
            spawned_at,
            since: Instant::now(),
            runtime: Handle::current().id(),
            asking: Asking::new(),
        });
        with_shard(id, |tasks| tasks.insert(id, Arc::clone(&task)));
        Self(task)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        with_shard(self.0.id, |tasks| tasks.remove(&self.0.id));
        if let Some(tokio_id) = self.0.tokio_id() {
            timeline::called(tokio_id, self.0.name);
        }
        // Whoever asked is told that nobody will answer.
        drop(self.0.take_question());
    }
}

fn with_shard<T>(id: u64, change: impl FnOnce(&mut HashMap<u64, Arc<Task>>) -> T) -> T {
    let shard = usize::try_from(id % SHARDS as u64).expect("a remainder of a few");
    let mut tasks = SHARD[shard].lock().unwrap_or_else(PoisonError::into_inner);
    change(tasks.get_or_insert_default())
}
