//! What a test leaves running in its service: nothing but what was there at first, or the test fails and says what it is.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    panic::Location,
    thread,
    time::{Duration, Instant},
};

use glasshouse::telemetry::tasks::alive;
use tokio::runtime::Handle;

/// How long what is ending may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// What there is one of as long as the service lives. Whatever else has a name ends with the request, the connection or
/// the question that it is for.
const LASTING: &[&str] = &["acceptor", "circuit", "idle connections", "worker"];

/// Tasks that libraries begin, which have no name here: their number when the service was ready, and one more, since the
/// runtime is asked something now and then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtRest(usize);

impl AtRest {
    /// As it is now.
    pub(crate) fn now(main: &Handle) -> Self {
        Self(unnamed(main) + 1)
    }
}

/// Waits until nothing is left.
///
/// # Panics
/// If something is, with its name and the place where it was begun. Blocks.
pub(super) fn none_is_left(main: &Handle, public: SocketAddr, at_rest: Option<AtRest>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = left(main, public, at_rest);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "the service is to stop, and still runs what nobody waits for: {left:#?}");
        thread::sleep(PAUSE);
    }
}

/// What runs on that runtime and should not, how often, and where it was begun.
pub(crate) fn left(main: &Handle, public: SocketAddr, at_rest: Option<AtRest>) -> Vec<String> {
    let mut named = BTreeMap::<_, usize>::new();
    // What a fault runs on purpose ends with the fault, and stopping ends that.
    let is_injected = |place: &Location| place.file().starts_with("src/faults/");
    for task in alive().into_iter().filter(|task| task.runtime == main.id() && !is_injected(task.spawned_at)) {
        *named.entry((task.name, task.spawned_at.to_string())).or_default() += 1;
    }
    let allowed = |name: &str| match name {
        name if LASTING.contains(&name) => 1,
        // As many as clients have not closed: a test may keep its own longer than the service.
        "connection" => open_connections(public),
        _ => 0,
    };
    let too_many = named.into_iter().filter(|((name, _), count)| *count > allowed(name));
    let mut left: Vec<_> =
        too_many.map(|((name, place), count)| format!("{count} × {name}, begun at {place}")).collect();
    let unnamed = unnamed(main);
    if let Some(AtRest(most)) = at_rest.filter(|AtRest(most)| unnamed > *most) {
        left.push(format!("{unnamed} without a name, of libraries, where {most} were enough"));
    }
    left
}

/// How many tasks nobody gave a name.
fn unnamed(main: &Handle) -> usize {
    let named = alive().iter().filter(|task| task.runtime == main.id()).count();
    main.metrics().num_alive_tasks().saturating_sub(named)
}

/// How many connections to that port the system has whose client has not closed its side.
fn open_connections(public: SocketAddr) -> usize {
    const ESTABLISHED: &str = "01";
    let port = format!(":{:04X}", public.port());
    let sockets = fs::read_to_string("/proc/self/net/tcp").unwrap_or_default();
    let is_open = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some(ESTABLISHED)
    };
    sockets.lines().filter(is_open).count()
}
