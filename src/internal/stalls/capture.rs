//! What stuck threads execute: their stacks, with names.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{blame::blamed, workers::Suspect};
use crate::{
    internal::{
        profile::{Frame, Symbols},
        stacks::{self, Captured, Stack, Unavailable},
    },
    telemetry::tasks::Poller,
};

/// How long the threads may take to write down their stacks: microseconds, if the system lets them run at all.
const BUDGET: Duration = Duration::from_millis(500);

/// A thread that is stuck, and in what.
#[derive(Debug, Clone)]
pub(super) struct Stuck {
    pub(super) thread: Arc<Poller>,
    /// The function to blame; none where there is no stack.
    pub(super) code: Option<String>,
    /// Or why there is none, in words.
    pub(super) stack: Result<Seen, String>,
}

/// What a thread executes.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// From the innermost function outwards.
    pub(super) frames: Vec<Arc<Frame>>,
    /// Whether the outermost are missing, since the stack is larger than what is looked at.
    pub(super) cut: bool,
}

/// What is said of a stall that ended too early.
pub(super) const OVER: &str = "it was over before its stack was taken";

impl Stuck {
    /// A thread of which no stack was taken.
    pub(super) fn unseen(thread: &Arc<Poller>, why: &str) -> Self {
        Self { thread: Arc::clone(thread), code: None, stack: Err(why.to_owned()) }
    }
}

/// Looks at the threads of each suspect. A stack that may be of what came after the stall is not shown as the stall's;
/// `question` is asked for the one that is open. Blocks.
pub(super) fn capture(suspects: &[Suspect], question: impl Fn() -> Option<Instant>) -> Vec<Vec<Stuck>> {
    let tids: Vec<i32> = suspects.iter().flat_map(|suspect| &suspect.threads).map(|thread| thread.tid).collect();
    let captured = stacks::of(&tids, BUDGET);
    let lasting: Vec<bool> = suspects.iter().map(|suspect| suspect.lasts(question())).collect();
    let mut symbols = Symbols::new();
    let mut look = |thread: &Arc<Poller>, lasts: bool| match stack(&captured, thread.tid) {
        _ if !lasts => Stuck::unseen(thread, OVER),
        Err(why) => Stuck::unseen(thread, &why),
        Ok(stack) => {
            let frames = symbols.stack(&stack.addresses);
            let code = blamed(&frames).map(str::to_owned);
            Stuck { thread: Arc::clone(thread), code, stack: Ok(Seen { frames, cut: stack.cut }) }
        }
    };
    let stuck = suspects.iter().zip(lasting);
    stuck.map(|(suspect, lasts)| suspect.threads.iter().map(|thread| look(thread, lasts)).collect()).collect()
}

fn stack(captured: &Result<Vec<Captured>, Unavailable>, tid: i32) -> Result<&Stack, String> {
    let captured = captured.as_ref().map_err(Unavailable::to_string)?;
    let of_thread = captured.iter().find(|captured| captured.tid == tid);
    of_thread.and_then(|captured| captured.stack.as_ref()).ok_or_else(|| "the thread did not answer in time".to_owned())
}
