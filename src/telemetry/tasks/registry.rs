//! Which tasks are alive.

use std::{
    collections::HashMap,
    panic::Location,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use tokio::runtime::{Handle, Id};

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
}

/// Tasks come and go on every worker at once: one lock would be waited for.
const SHARDS: usize = 16;
static SHARD: [Mutex<Option<HashMap<u64, Arc<Task>>>>; SHARDS] = [const { Mutex::new(None) }; SHARDS];
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
        let task = Task { id, name, spawned_at, since: Instant::now(), runtime: Handle::current().id() };
        let task = Arc::new(task);
        with_shard(id, |tasks| tasks.insert(id, Arc::clone(&task)));
        Self(task)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        with_shard(self.0.id, |tasks| tasks.remove(&self.0.id));
    }
}

fn with_shard<T>(id: u64, change: impl FnOnce(&mut HashMap<u64, Arc<Task>>) -> T) -> T {
    let shard = usize::try_from(id % SHARDS as u64).expect("a remainder of a few");
    let mut tasks = SHARD[shard].lock().unwrap_or_else(PoisonError::into_inner);
    change(tasks.get_or_insert_default())
}
