//! What stuck threads execute: their stacks, with names.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{blame::blamed, workers::Suspect};
use crate::{
    internal::stacks::{self, Captured, Stack, Unavailable},
    telemetry::{
        symbols::{Location, Symbols},
        tasks::Poller,
    },
};

/// How long the threads may take to write down their stacks: microseconds, if the system lets them run at all.
const BUDGET: Duration = Duration::from_millis(500);

/// A thread that is stuck, and in what.
#[derive(Debug, Clone)]
pub(super) struct Stuck {
    pub(super) thread: Arc<Poller>,
    /// The function to blame; none where there is no stack.
    pub(super) code: Option<Arc<str>>,
    /// Or why there is none, in words.
    pub(super) stack: Result<Seen, String>,
}

/// What a thread executes.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// From the innermost function outwards.
    pub(super) stack: Vec<Location>,
    /// Whether the outermost are missing, since the stack is larger than what is looked at.
    pub(super) cut: bool,
    /// Why functions have no names, if some have none.
    pub(super) unnamed: Option<String>,
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
    let stacks = captured.iter().flatten().filter_map(|captured| captured.stack.as_ref());
    let symbols = Symbols::look_up(stacks.flat_map(|stack| stack.addresses.iter().copied()));
    // Noticed without being asked for: it must not be what uses up the memory.
    let symbols = symbols.unwrap_or_else(|short| Symbols::unnamed(short.to_string()));
    let unnamed = (!symbols.missing.is_empty()).then(|| symbols.missing.join("; "));
    let look = |thread: &Arc<Poller>, lasts: bool| match stack(&captured, thread.tid) {
        _ if !lasts => Stuck::unseen(thread, OVER),
        Err(why) => Stuck::unseen(thread, &why),
        Ok(stack) => {
            let (cut, stack) = (stack.cut, symbols.stack(&stack.addresses));
            let has_unnamed = stack.iter().any(|location| !location.frames[0].is_known());
            let unnamed = unnamed.clone().filter(|_| has_unnamed);
            Stuck { thread: Arc::clone(thread), code: blamed(&stack), stack: Ok(Seen { stack, cut, unnamed }) }
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
