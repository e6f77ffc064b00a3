//! Following live requests: whoever follows gets the log lines of the requests that match, whatever is logged and
//! sampled otherwise.
//!
//! It is the log's own lines that are handed on, so nothing is in them that may not be logged. While nobody follows, a
//! layer that refuses every callsite is all there is.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tracing::{
    Event, Level, Metadata, Subscriber, callsite::rebuild_interest_cache, level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::{Counter, Gauge, Metrics, Redactor, Request, catalog, log_format::JsonLine};

/// How many may follow at once.
pub const MOST: usize = 4;
/// How many lines wait for one that is slow, each about a kilobyte, at most 16.
const QUEUE: usize = 256;

/// How many follow in this process, whichever service.
static ANYONE: AtomicUsize = AtomicUsize::new(0);

/// Whether it is worth while to tell a request more than the log needs to know. Costs one relaxed load.
pub fn anyone() -> bool {
    ANYONE.load(Relaxed) > 0
}

/// Which requests: those for which each of these that is given is the same.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The template of the path.
    pub route: Option<String>,
    /// The id of the user.
    pub user: Option<String>,
    /// `X-Request-ID`.
    pub request: Option<String>,
}

impl Wanted {
    fn is(&self, request: &Request) -> bool {
        let same =
            |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|wanted| is == Some(wanted));
        same(&self.request, Some(request.id()))
            && same(&self.route, request.route())
            && same(&self.user, request.user())
    }
}

/// One line that matched.
#[derive(Debug)]
pub struct Seen {
    /// `request` for the line that ends a request, `statement`, or `log` for any other.
    pub kind: &'static str,
    /// A JSON object without line ends in it, as the log has it.
    pub line: Arc<str>,
    /// How many lines before it were dropped because nobody took them in time.
    pub missed: u64,
}

/// Everybody who follows. Cheap to clone.
#[derive(Clone)]
pub struct Followers(Arc<Inner>);

struct Inner {
    on: AtomicBool,
    list: RwLock<Vec<Arc<Follower>>>,
    json: JsonLine,
    redactor: Redactor,
    gauge: Gauge,
    dropped: Counter,
}

struct Follower {
    wanted: Wanted,
    lines: mpsc::Sender<Seen>,
    missed: AtomicU64,
    until: Instant,
    taken_over: Notify,
}

impl Followers {
    pub(super) fn new(json: JsonLine, redactor: Redactor, metrics: &Metrics) -> Self {
        let (gauge, dropped) = (metrics.gauge(&catalog::FOLLOWERS), metrics.counter(&catalog::FOLLOW_DROPPED));
        Self(Arc::new(Inner { on: AtomicBool::new(false), list: RwLock::default(), json, redactor, gauge, dropped }))
    }

    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        Tap(self.clone()).with_filter(WhileFollowed(self.clone()))
    }

    /// Follows until then; nothing, if too many do already. With `force` the one that has followed for longest ends
    /// instead. Whoever is past its end does not count, even if it does not read.
    #[must_use]
    pub fn follow(&self, wanted: Wanted, until: Instant, force: bool) -> Option<Following> {
        let (lines, seen) = mpsc::channel(QUEUE);
        let follower =
            Arc::new(Follower { wanted, lines, missed: AtomicU64::new(0), until, taken_over: Notify::new() });
        let following =
            Following { follower: Arc::clone(&follower), followers: self.clone(), seen, is_taken_over: false };
        let has_room = self.change(|list| {
            let now = Instant::now();
            list.retain(|follower| follower.until > now);
            if force && list.len() >= MOST {
                list.remove(0).taken_over.notify_one();
            }
            let has_room = list.len() < MOST;
            if has_room {
                list.push(follower);
            }
            has_room
        });
        has_room.then_some(following)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<Follower>>) -> T) -> T {
        let mut list = self.list();
        let before = list.len();
        let changed = change(&mut list);
        let after = list.len();
        // Under the lock, so that the last who changes the list has the last word.
        let is_switched = self.0.on.swap(after > 0, SeqCst) != (after > 0);
        #[expect(clippy::cast_precision_loss, reason = "there are four at most")]
        self.0.gauge.set(&[], after as f64);
        drop(list);
        ANYONE.fetch_add(after, Relaxed);
        ANYONE.fetch_sub(before, Relaxed);
        if is_switched {
            rebuild_interest_cache();
        }
        changed
    }

    fn list(&self) -> RwLockWriteGuard<'_, Vec<Arc<Follower>>> {
        self.0.list.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: &Event<'_>, request: &Request) {
        let list = self.0.list.read().unwrap_or_else(PoisonError::into_inner);
        let mut line: Option<Arc<str>> = None;
        for follower in list.iter().filter(|follower| follower.wanted.is(request)) {
            let missed = follower.missed.swap(0, Relaxed);
            let line = line.get_or_insert_with(|| {
                let mut line = self.0.json.of(event);
                self.0.redactor.redact(&mut line);
                line.trim_end().into()
            });
            let seen = Seen { kind: kind(event.metadata()), line: Arc::clone(line), missed };
            if follower.lines.try_send(seen).is_err() {
                follower.missed.fetch_add(missed + 1, Relaxed);
                self.0.dropped.inc(&[]);
            }
        }
    }
}

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Followers")
    }
}

/// One who follows, until this is dropped.
pub struct Following {
    follower: Arc<Follower>,
    followers: Followers,
    seen: mpsc::Receiver<Seen>,
    is_taken_over: bool,
}

impl Following {
    /// The next line; nothing once the time is over, or another request has taken over.
    pub async fn next(&mut self) -> Option<Seen> {
        tokio::select! {
            seen = self.seen.recv() => seen,
            () = self.follower.taken_over.notified() => {
                self.is_taken_over = true;
                None
            }
            () = tokio::time::sleep_until(self.follower.until) => None,
        }
    }

    /// Whether another request has taken over.
    #[must_use]
    pub const fn is_taken_over(&self) -> bool {
        self.is_taken_over
    }

    /// How many lines were dropped after all that wait, if none waits; each is told once.
    #[must_use]
    pub fn take_missed(&self) -> u64 {
        if self.seen.is_empty() { self.follower.missed.swap(0, Relaxed) } else { 0 }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followers.change(|list| list.retain(|follower| !Arc::ptr_eq(follower, &self.follower)));
    }
}

fn kind(metadata: &Metadata<'_>) -> &'static str {
    let has = |name| metadata.fields().field(name).is_some();
    if has("http.response.status_code") {
        "request"
    } else if has("db.query.summary") {
        "statement"
    } else {
        "log"
    }
}

/// What may be followed: what the service itself says, and nothing of the crates below it.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && *metadata.level() <= Level::DEBUG && metadata.target().starts_with("glasshouse")
}

struct WhileFollowed(Followers);

impl<S> Filter<S> for WhileFollowed {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.0.on.load(Relaxed) && is_ours(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.0.on.load(Relaxed) && is_ours(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.0.0.on.load(Relaxed) { LevelFilter::DEBUG } else { LevelFilter::OFF })
    }
}

struct Tap(Followers);

impl<S: Subscriber> Layer<S> for Tap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        Request::with_current(|request| self.0.tell(event, request));
    }
}
