//! What is known of the request that the current task works for: its id, its user, what it has cost so far.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

tokio::task_local! {
    static CURRENT: Arc<Request>;
}

/// One request's identity and running account. Everything below the edge may add to it; the edge reads it at the end.
#[derive(Debug)]
pub struct Request {
    id: String,
    user: OnceLock<String>,
    route: OnceLock<String>,
    statements: AtomicU64,
    statement_nanos: AtomicU64,
    wait_nanos: AtomicU64,
    is_refused: AtomicBool,
}

impl Request {
    /// A request with that id, which is already known to be harmless.
    #[must_use]
    pub const fn new(id: String) -> Self {
        Self {
            id,
            user: OnceLock::new(),
            route: OnceLock::new(),
            statements: AtomicU64::new(0),
            statement_nanos: AtomicU64::new(0),
            wait_nanos: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
        }
    }

    /// Runs a future for this request. No `async fn`, which would hold the future twice: as its argument, and where it is
    /// awaited.
    pub fn scope<F: Future>(self: Arc<Self>, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self, future)
    }

    /// The request that the current task works for, if it works for one.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// As [`Request::current`], without counting a reference.
    pub fn with_current<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(|request| look(request)).ok()
    }

    /// `X-Request-ID`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says whose request it is; the first word counts.
    pub fn belongs_to(&self, user: String) {
        // A second caller cannot be recognised for one request; if it were, the first would stand in the log.
        drop(self.user.set(user));
    }

    /// Whose request it is, once that is known.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.get().map(String::as_str)
    }

    /// Says which template its path matched; the first word counts. Told only where somebody follows requests.
    pub fn matches(&self, route: &str) {
        self.route.get_or_init(|| route.to_owned());
    }

    /// Which template its path matched, if that was said.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.get().map(String::as_str)
    }

    /// One more statement, and how long it took.
    pub fn add_statement(&self, took: Duration) {
        self.statements.fetch_add(1, Relaxed);
        self.statement_nanos.fetch_add(nanos(took), Relaxed);
    }

    /// Time spent waiting for a connection.
    pub fn add_wait(&self, took: Duration) {
        self.wait_nanos.fetch_add(nanos(took), Relaxed);
    }

    /// Records that the service refuses it for overload, before the refusal is sent.
    pub fn refuse(&self) {
        self.is_refused.store(true, Relaxed);
    }

    /// Whether the service refuses it for overload.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Relaxed)
    }

    /// How many statements it has made.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Relaxed)
    }

    /// How long its statements took, all together.
    #[must_use]
    pub fn statement_time(&self) -> Duration {
        Duration::from_nanos(self.statement_nanos.load(Relaxed))
    }

    /// How long it waited for connections, all together.
    #[must_use]
    pub fn wait_time(&self) -> Duration {
        Duration::from_nanos(self.wait_nanos.load(Relaxed))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
