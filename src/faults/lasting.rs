//! What goes wrong in the runtime and in memory for as long as a fault is on, and is put right at its end.

use std::{sync::mpsc, time::Duration};

use tokio::time::interval;

use super::{Switchboard, inflicted::Over};
use crate::telemetry::{self, tasks::spawn_on};

/// More are not leaked: each is a kilobyte or so, and every tool that lists tasks lists them.
const MOST_TASKS: usize = 100_000;
/// More is not leaked: the lesson is learned, and the machine is needed by others.
const MOST_BYTES: usize = 1024 * 1024 * 1024;
/// Memory leaks in so many portions a second: it grows smoothly, and no portion holds a worker up.
const PORTIONS: u32 = 10;

/// Begins so many tasks a second that end only when the faults do.
pub(super) async fn leak_tasks(per_second: u32, faults: Switchboard, mut over: Over) {
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    for _ in 0..MOST_TASKS {
        tokio::select! {
            _ = over.changed() => return,
            _ = ticks.tick() => {}
        }
        drop(telemetry::spawn("leaked task", leaked_task(over.clone())));
        faults.count("task_leak");
    }
}

async fn leaked_task(mut over: Over) {
    over.changed().await.ok();
}

/// Keeps so many more bytes a second, until the faults end.
pub(super) async fn keep_leaking_memory(per_second: u32, faults: Switchboard, mut over: Over) {
    let portion = (per_second / PORTIONS).max(1) as usize;
    let mut ticks = interval(Duration::from_secs(1) / PORTIONS);
    let mut leaked = Vec::new();
    while leaked.len() * portion < MOST_BYTES {
        tokio::select! {
            _ = over.changed() => return,
            _ = ticks.tick() => {}
        }
        leaked.push(leak_memory(portion));
        faults.count("memory_leak");
    }
    over.changed().await.ok();
}

/// Written to, and not with zeros: pages that nobody has touched take no memory.
#[inline(never)]
fn leak_memory(bytes: usize) -> Vec<u8> {
    vec![0xfa; bytes]
}

/// Takes so many workers from that runtime, until what is given back is dropped.
pub(super) fn block_workers(runtime: &tokio::runtime::Handle, workers: usize, faults: &Switchboard) -> Vec<Hold> {
    let block = |_| {
        let (hold, let_go) = mpsc::channel();
        let faults = faults.clone();
        drop(spawn_on(runtime, "blocked worker", async move {
            faults.count("blocked_worker");
            block_the_worker(&let_go);
        }));
        hold
    };
    (0..workers).map(block).collect()
}

/// Never used to send: that it is gone is the message.
pub(super) type Hold = mpsc::Sender<()>;

/// Waits as nothing may that runs on a worker.
#[inline(never)]
fn block_the_worker(let_go: &mpsc::Receiver<()>) {
    let_go.recv().ok();
}
