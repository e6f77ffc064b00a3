//! Where tasks stand, in names instead of addresses, and which of them stand at the same place.

use std::{collections::HashMap, sync::Arc};

use super::fold::{Call, fold, rank, within};
use crate::{
    internal::profile::Sample,
    telemetry::{
        symbols::{Frame, Location, Symbols},
        tasks::{Found, State, Task},
    },
};

/// A task and where it stands.
pub(super) struct Standing {
    pub(super) task: Arc<Task>,
    pub(super) state: &'static str,
    /// One for each thing that it waits for, the most telling first; from the innermost call outwards.
    pub(super) branches: Vec<Arc<[Call]>>,
    /// What else is known of the state, such as the thread that is busy with it.
    pub(super) detail: Option<String>,
}

/// Every address at which one of these tasks waits.
pub(super) fn addresses(found: &[Found]) -> impl Iterator<Item = usize> {
    let places = found.iter().filter_map(|found| match &found.state {
        State::Waiting(places) => Some(places),
        State::Polled(..) | State::Unreached => None,
    });
    places.flatten().flat_map(|place| place.iter().copied())
}

/// Names the addresses. All that lies between our own calls is left out unless `full`.
pub(super) fn standing(found: Vec<Found>, symbols: &Symbols, full: bool) -> Vec<Standing> {
    let mut reader = Reader { symbols, full, known: HashMap::new() };
    let stand = |Found { task, state }| {
        let (state, places, detail) = match state {
            State::Waiting(places) if places.is_empty() => ("waiting for nothing", places, None),
            State::Waiting(places) => ("waiting", places, None),
            State::Polled(thread, since) => {
                let detail = format!("for {:.1?} on thread {thread}", since.elapsed());
                ("being polled", Vec::new(), Some(detail))
            }
            State::Unreached => ("not reached", Vec::new(), None),
        };
        Standing { task, state, branches: reader.branches(places), detail }
    };
    found.into_iter().map(stand).collect()
}

/// Reads each place once: most tasks stand where many others do.
struct Reader<'a> {
    symbols: &'a Symbols,
    full: bool,
    known: HashMap<Arc<[usize]>, Arc<[Call]>>,
}

impl Reader<'_> {
    fn branches(&mut self, places: Vec<Arc<[usize]>>) -> Vec<Arc<[Call]>> {
        let mut branches = Vec::<Arc<[Call]>>::new();
        for place in places {
            let branch = self.read(place);
            if !branches.iter().any(|other| names(other).eq(names(&branch))) {
                branches.push(branch);
            }
        }
        branches.sort_by_key(|calls| rank(calls));
        branches
    }

    fn read(&mut self, place: Arc<[usize]>) -> Arc<[Call]> {
        if let Some(known) = self.known.get(&place) {
            return Arc::clone(known);
        }
        let mut calls = Vec::new();
        for &address in &*place {
            calls.extend(self.symbols.frames(address).iter().map(|frame| Call { address, frame: Arc::clone(frame) }));
        }
        let calls = within(calls);
        let calls: Arc<[Call]> = if self.full { calls } else { fold(calls) }.into();
        self.known.insert(place, Arc::clone(&calls));
        calls
    }
}

fn names(calls: &[Call]) -> impl Iterator<Item = &Arc<Frame>> {
    calls.iter().map(|call| &call.frame)
}

/// Tasks of one name that stand at the same place.
pub(super) struct Group {
    pub(super) count: usize,
    /// One of them.
    pub(super) one: Standing,
}

/// The largest first.
pub(super) fn groups(standing: Vec<Standing>) -> Vec<Group> {
    let mut groups = HashMap::new();
    for one in standing {
        let places: Vec<_> =
            one.branches.iter().map(|branch| names(branch).map(Arc::clone).collect::<Vec<_>>()).collect();
        // Where nothing is known but where it was begun, tasks of several places must not be one.
        let key = (one.task.name, one.state, one.task.spawned_at, places);
        groups.entry(key).or_insert(Group { count: 0, one }).count += 1;
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.count), group.one.task.id));
    groups
}

impl Group {
    /// As a sample, in which a task counts once: with its main branch.
    pub(super) fn sample(&self) -> Sample {
        let Standing { task, state, branches, .. } = &self.one;
        let stack = branches.first().map(|calls| locations(calls)).filter(|stack| !stack.is_empty());
        let labels = [("task", task.name.to_owned()), ("state", (*state).to_owned())];
        Sample {
            stack: stack.unwrap_or_else(|| vec![Location::without_address(beginning(task, state))]),
            values: vec![i64::try_from(self.count).unwrap_or(i64::MAX)],
            labels: labels.into_iter().chain([("spawned_at", task.spawned_at.to_string())]).collect(),
        }
    }
}

/// One location per address: calls that were inlined into each other share theirs.
fn locations(calls: &[Call]) -> Vec<Location> {
    let same_address = calls.chunk_by(|one, next| one.address == next.address);
    let location =
        |calls: &[Call]| Location { address: calls[0].address, frames: names(calls).map(Arc::clone).collect() };
    same_address.map(location).collect()
}

/// What stands for the stack of a task that has none: where it was begun.
fn beginning(task: &Task, state: &str) -> Frame {
    let name = format!("{} ({state})", task.name);
    let (file, line) = (task.spawned_at.file().into(), task.spawned_at.line());
    Frame { system_name: format!("task {name}").into(), name: name.into(), file, line }
}
