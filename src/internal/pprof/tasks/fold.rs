//! Leaves out of a stack what nobody wrote who reads it.
//!
//! What remains: our own calls; in front of them the one call that says what they wait for; and of a library between
//! them, such as the database's, the call that we made. `std`, tokio's inside and what only hands polls on, such as
//! axum's layers, are left out.

use std::sync::Arc;

use crate::telemetry::{symbols::Frame, tasks::BOUNDARY};

/// A call in a stack.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Inside the instruction that calls.
    pub(super) address: usize,
    pub(super) frame: Arc<Frame>,
}

/// Where a call was written, as far as folding cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author<'a> {
    /// Whoever reads it.
    Own,
    /// A library: its folder, and in tokio's the module.
    Library(&'a str),
    /// Whoever only hands on what others do.
    Nobody,
}

/// Who keeps a waker for somebody else, who notes that it is kept, and our own that only hand polls on.
const FORWARDERS: &[&str] =
    &["/atomic_waker.rs", "src/telemetry/request.rs", "src/telemetry/tasks/places.rs", "src/telemetry/traces.rs"];

/// Of tokio, what says less of a wait than the call that it is for.
const PLUMBING: &[&str] = &["loom/", "macros/", "runtime/", "sync/task/", "task/coop/", "util/", "io/poll_evented.rs"];

/// Libraries whose calls between ours say nothing: they hand polls on. Versions follow, so each ends in a dash.
const GLUE: &[&str] = &[
    "async-trait-",
    "axum-",
    "backtrace-",
    "futures-",
    "h2-",
    "http-body-",
    "hyper-",
    "opentelemetry-",
    "pin-project-",
    "tokio-",
    "tonic-",
    "tower-",
    "tracing-",
];

impl<'a> Author<'a> {
    fn of(frame: &'a Frame) -> Self {
        let file = &*frame.file;
        if file.is_empty()
            || file.starts_with("/rustc/")
            || file.contains("/lib/rustlib/src/")
            || FORWARDERS.iter().any(|forwarder| file.ends_with(forwarder))
        {
            return Self::Nobody;
        }
        let Some(package) = package(file) else { return Self::Own };
        let (folder, inside) = package.split_once("/src/").unwrap_or((package, ""));
        if !folder.starts_with("tokio-1") {
            let is_plumbing = folder.starts_with("atomic-waker-") || folder.starts_with("backtrace-");
            return if is_plumbing { Self::Nobody } else { Self::Library(folder) };
        }
        if PLUMBING.iter().any(|plumbing| inside.starts_with(plumbing)) && !inside.ends_with("task/join.rs") {
            return Self::Nobody;
        }
        Self::Library(inside.split('/').next().unwrap_or_default())
    }
}

/// A path of a library's source from its own folder on; none if it is nobody's library.
pub(in crate::internal::pprof) fn package(file: &str) -> Option<&str> {
    let (_, inside) = file.split_once("/registry/src/").or_else(|| file.split_once("/git/checkouts/"))?;
    inside.split_once('/').map(|(_, package)| package)
}

/// The calls that are the task's own: those inside of where it begins.
pub(super) fn within(mut calls: Vec<Call>) -> Vec<Call> {
    if let Some(end) = calls.iter().position(|call| call.frame.name.contains(BOUNDARY)) {
        calls.truncate(end);
    }
    calls
}

/// By which of the things that a task waits for are sorted, the least first. What has most of our own code says most; and
/// that it is told to stop, or that time passes, is what everything else waits for beside.
pub(super) fn rank(calls: &[Call]) -> impl Ord + use<> {
    let own = || calls.iter().filter(|call| Author::of(&call.frame) == Author::Own);
    let is_stop = own().any(|call| call.frame.file.ends_with("src/lifecycle/drain.rs"));
    let is_timer = calls.first().is_some_and(|call| Author::of(&call.frame) == Author::Library("time"));
    (is_stop, std::cmp::Reverse(own().count()), is_timer)
}

/// What of these calls a reader wants to see, under names without what the compiler added.
pub(super) fn fold(calls: Vec<Call>) -> Vec<Call> {
    let leaf = leaf(&calls);
    let authors: Vec<_> = calls.iter().map(|call| Author::of(&call.frame)).collect();
    let told = |at: usize| match authors[at] {
        Author::Own => true,
        Author::Nobody => false,
        Author::Library(_) if leaf == Some(at) => true,
        Author::Library(folder) => {
            let said = authors[at + 1..].iter().find(|author| **author != Author::Nobody);
            let is_glue =
                package(&calls[at].frame.file).is_none_or(|package| GLUE.iter().any(|glue| package.starts_with(glue)));
            leaf.is_none_or(|leaf| leaf < at) && !is_glue && said != Some(&Author::Library(folder))
        }
    };
    let told: Vec<Call> = (0..calls.len()).filter(|at| told(*at)).map(|at| plain(&calls[at])).collect();
    if told.is_empty() { calls } else { told }
}

/// The call that says what is waited for: the outermost of the first library that is met, before any call of ours.
fn leaf(calls: &[Call]) -> Option<usize> {
    let mut leaf = None;
    for (at, call) in calls.iter().enumerate() {
        match (Author::of(&call.frame), leaf) {
            (Author::Nobody, _) => {}
            (Author::Library(family), None) => leaf = Some((at, family)),
            (Author::Library(family), Some((_, first))) if family == first => leaf = Some((at, family)),
            _ => break,
        }
    }
    leaf.map(|(at, _)| at)
}

/// Without the closures that an `async fn` is made of, and `T::poll` for `<T as Future>::poll`.
fn plain(call: &Call) -> Call {
    let mut name = &*call.frame.name;
    while let Some((outer, closure)) = name.rsplit_once("::")
        && closure.starts_with('{')
    {
        name = outer;
    }
    let future = name.strip_prefix('<').and_then(|name| name.strip_suffix(" as core::future::future::Future>::poll"));
    let name = future.map_or_else(|| name.into(), |future| format!("{future}::poll").into());
    Call { address: call.address, frame: Arc::new(Frame { name, ..Frame::clone(&call.frame) }) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Call, Frame, fold};

    const REGISTRY: &str = "/home/somebody/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";

    fn folded(calls: &[(&str, &str)]) -> Vec<String> {
        let call = |(name, file): &(&str, &str)| {
            let file = if file.contains("-1") { format!("{REGISTRY}/{file}") } else { (*file).to_owned() };
            let frame = Frame { name: (*name).into(), system_name: "".into(), file: file.into(), line: 1 };
            Call { address: 1, frame: Arc::new(frame) }
        };
        fold(calls.iter().map(call).collect()).iter().map(|call| call.frame.name.to_string()).collect()
    }

    const CLONE: (&str, &str) = ("<core::task::wake::Waker as core::clone::Clone>::clone", "/rustc/5980/core/task.rs");

    #[test]
    fn our_calls_remain_and_what_they_wait_for() {
        let calls = [
            CLONE,
            ("tokio::sync::task::AtomicWaker::register", "tokio-1.54.1/src/sync/task/atomic_waker.rs"),
            ("tokio::runtime::time::entry::TimerEntry::poll_elapsed", "tokio-1.54.1/src/runtime/time/entry.rs"),
            ("<tokio::time::sleep::Sleep as core::future::future::Future>::poll", "tokio-1.54.1/src/time/sleep.rs"),
            ("<core::pin::Pin<P> as core::future::future::Future>::poll", "/rustc/5980/core/future.rs"),
            ("tokio::time::interval::Interval::tick::{{closure}}", "tokio-1.54.1/src/time/interval.rs"),
            ("ours::sweep::{{closure}}::{{closure}}", "tokio-1.54.1/src/macros/select.rs"),
            ("ours::sweep::{{closure}}", "/home/somebody/ours/src/sweep.rs"),
        ];
        assert_eq!(folded(&calls), ["tokio::time::interval::Interval::tick", "ours::sweep"]);
    }

    #[test]
    fn of_a_library_the_call_that_we_made_remains_and_of_glue_nothing() {
        let calls = [
            CLONE,
            ("<tokio::net::TcpStream as tokio::io::AsyncRead>::poll_read", "tokio-1.54.1/src/net/tcp/stream.rs"),
            ("sqlx_core::net::socket::read", "sqlx-core-1.9/src/net/socket.rs"),
            ("sqlx_core::pool::Pool<DB>::acquire::{closure#0}", "sqlx-core-1.9/src/pool/mod.rs"),
            ("ours::store::read::{closure#0}", "src/store/read.rs"),
            ("axum::middleware::Next::run", "axum-1.8/src/middleware.rs"),
            ("<ours::Layer as core::future::future::Future>::poll", "src/layer.rs"),
            ("<hyper::server::Connection as core::future::future::Future>::poll", "hyper-1.12/src/server.rs"),
            ("ours::serve::{closure#0}", "src/serve.rs"),
        ];
        let told = [
            "<tokio::net::TcpStream as tokio::io::AsyncRead>::poll_read",
            "sqlx_core::pool::Pool<DB>::acquire",
            "ours::store::read",
            "ours::Layer::poll",
            "ours::serve",
        ];
        assert_eq!(folded(&calls), told);
    }

    #[test]
    fn where_nothing_would_remain_everything_does() {
        assert_eq!(folded(&[CLONE]), [CLONE.0]);
    }
}
