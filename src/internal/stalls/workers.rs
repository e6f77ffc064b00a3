//! The workers of a runtime as they are seen from outside: which of them does not come back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::RuntimeMetrics;

use crate::telemetry::tasks::{self, Poll, Poller, Task, pollers};

/// How many stuck workers are looked at where the runtime is silent: on a large machine they are stuck in the same.
const LOOKED_AT: usize = 16;

/// What may be a stall. Two looks at one stall give equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// One poll that does not end.
    Poll(Poll),
    /// A question, asked then, that no worker has come to.
    Silence(Instant),
}

/// A case with whom it is about.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    pub(super) case: Case,
    /// None where it is silence.
    pub(super) task: Option<Arc<Task>>,
    /// The workers that are stuck: one where it is a poll, at least one and at most [`LOOKED_AT`] where it is silence.
    pub(super) threads: Vec<Arc<Poller>>,
}

impl Suspect {
    pub(super) const fn since(&self) -> Instant {
        match self.case {
            Case::Poll(poll) => poll.since,
            Case::Silence(since) => since,
        }
    }

    /// Whether it has not changed; `question` is the one that is open now.
    pub(super) fn lasts(&self, question: Option<Instant>) -> bool {
        match self.case {
            Case::Poll(poll) => self.threads.iter().all(|thread| thread.poll() == Some(poll)),
            Case::Silence(asked) => question == Some(asked),
        }
    }
}

/// Everything that has not moved for at least `age`. A thread that has given its worker away, as `block_in_place` does,
/// is no worker and may block.
pub(super) fn suspects(runtime: &RuntimeMetrics, age: Duration, question: Option<Instant>) -> Vec<Suspect> {
    let threads: Vec<_> = (0..runtime.num_workers()).filter_map(|worker| runtime.worker_thread_id(worker)).collect();
    let workers: Vec<_> = pollers(&threads).into_iter().map(|worker| (worker.poll(), worker)).collect();
    let mut suspects: Vec<_> = workers
        .iter()
        .filter_map(|(poll, worker)| {
            let poll = poll.filter(|poll| poll.since.elapsed() >= age)?;
            // A task that has just ended has ended its poll too.
            let task = tasks::find(poll.task)?;
            Some(Suspect { case: Case::Poll(poll), task: Some(task), threads: vec![Arc::clone(worker)] })
        })
        .collect();
    if let Some(asked) = question.filter(|asked| asked.elapsed() >= age) {
        let threads: Vec<_> = workers.into_iter().filter(|(poll, _)| is_unexplained(*poll, age, asked)).collect();
        if !threads.is_empty() {
            let threads = threads.into_iter().map(|(_, worker)| worker).take(LOOKED_AT).collect();
            suspects.push(Suspect { case: Case::Silence(asked), task: None, threads });
        }
    }
    suspects
}

/// Whether silence is a worker's fault although it is no suspect itself: it polls what we know nothing of. One that has
/// only begun to poll a task of ours is given the time that this poll may take.
fn is_unexplained(poll: Option<Poll>, age: Duration, asked: Instant) -> bool {
    poll.is_none_or(|poll| poll.since.elapsed() < age && asked.elapsed() >= age * 2)
}
