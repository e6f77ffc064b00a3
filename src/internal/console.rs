//! tokio-console on this port: on with the first client, off with the last, and off by itself past its bounds.
//!
//! Neither a deadline nor compression may be laid around it: it is one answer that lasts as long as somebody looks.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
    routing::any,
};
use http_body_util::BodyExt;
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, interval_at},
};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use super::Thread;
use crate::telemetry::{
    Counter, Metrics, allocated_bytes, catalog,
    console::{Recorder, Recording},
};

/// Everything that tokio-console calls.
const ROUTE: &str = "/rs.tokio.console.instrument.Instrument/{*rest}";
/// The call whose answer is the stream of updates; whoever has it open is looking.
const WATCH: &str = "/WatchUpdates";

/// When it is switched off although somebody looks.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// How many look at once; each gets all of it.
    clients: usize,
    /// How much more the process may have allocated than when it was switched on, for whatever reason: what memory the
    /// recording takes cannot be told apart.
    growth_bytes: u64,
    /// How long it is on without a break. A console that was forgotten in some terminal is not to cost for ever.
    time: Duration,
    /// For how long it stays off afterwards: the client asks again at once, and not because anybody wants to look.
    rest: Duration,
}

const LIMITS: Limits =
    Limits { clients: 3, growth_bytes: 256 * 1024 * 1024, time: Duration::from_mins(30), rest: Duration::from_mins(1) };

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(250);

type Server = BoxCloneSyncService<Request, Response, Infallible>;

/// The switch of tokio-console, and who looks. Cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    recorder: Recorder,
    runtime: Handle,
    limits: Limits,
    switched_off: Counter,
    state: Mutex<Shift>,
}

/// What is on, or why nothing is.
#[derive(Default)]
struct Shift {
    session: Option<Session>,
    /// Counts sessions, so that whoever looked at an older one does not end a newer.
    number: u64,
    resting: Option<(Instant, Reason)>,
}

/// From switching on to switching off.
struct Session {
    server: Server,
    clients: usize,
    /// It was switched on by the setting and not by a client, so it is not the last client's to switch off.
    stays: bool,
    running: [AbortHandle; 2],
    _recording: Recording,
}

impl Drop for Session {
    fn drop(&mut self) {
        for running in &self.running {
            running.abort();
        }
    }
}

/// Why it was switched off although somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Memory,
    Time,
}

impl Reason {
    const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Time => "time",
        }
    }
}

impl Console {
    /// Switches it on now and for good if `stays`, otherwise with the first client. Everything of it runs on the
    /// internal thread.
    #[must_use]
    pub fn start(recorder: Recorder, thread: &Thread, stays: bool, metrics: &Metrics) -> Self {
        Self::within(LIMITS, recorder, thread.runtime(), stays, metrics)
    }

    fn within(limits: Limits, recorder: Recorder, runtime: &Handle, stays: bool, metrics: &Metrics) -> Self {
        let switched_off = metrics.counter(&catalog::CONSOLE_SWITCHED_OFF);
        for reason in [Reason::Memory, Reason::Time] {
            switched_off.add(&[reason.word()], 0);
        }
        let runtime = runtime.clone();
        let console = Self(Arc::new(Inner { recorder, runtime, limits, switched_off, state: Mutex::default() }));
        if stays {
            let session = console.begin(1, true);
            let mut shift = console.shift();
            (shift.session, shift.number) = (Some(session), 1);
        }
        console
    }

    pub(super) fn routes(self) -> Router {
        Router::new().route(ROUTE, any(answer)).with_state(self)
    }

    fn shift(&self) -> MutexGuard<'_, Shift> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to record. Events may come of it, but nothing that asks for the shift, which the caller may hold.
    fn begin(&self, number: u64, stays: bool) -> Session {
        let (recording, (server, running)) = self.0.recorder.begin(|parts| {
            let aggregating = self.0.runtime.spawn(parts.aggregator.run()).abort_handle();
            let watching = self.0.runtime.spawn(self.clone().watch(number, stays)).abort_handle();
            (boxed(parts.instrument_server), [aggregating, watching])
        });
        tracing::info!(target: "glasshouse::internal", "tokio-console is switched on");
        Session { server, clients: 0, stays, running, _recording: recording }
    }

    /// One more who looks; refused with the reason in words.
    fn attach(&self) -> Result<(Server, Attached), String> {
        let mut shift = self.shift();
        if let Some((until, reason)) = shift.resting.filter(|(until, _)| *until > Instant::now()) {
            let left = until.saturating_duration_since(Instant::now()).as_secs() + 1;
            return Err(format!("switched off past its limit of {}; it can be had again in {left} s", reason.word()));
        }
        if shift.session.is_none() {
            shift.number += 1;
            shift.session = Some(self.begin(shift.number, false));
        }
        let number = shift.number;
        let session = shift.session.as_mut().expect("begun above if there was none");
        if session.clients == self.0.limits.clients {
            return Err(format!("{} consoles are attached, which is the most there may be", session.clients));
        }
        session.clients += 1;
        Ok((session.server.clone(), Attached { console: self.clone(), number }))
    }

    fn server(&self) -> Option<Server> {
        self.shift().session.as_ref().map(|session| session.server.clone())
    }

    /// Takes the session out if `is_over` says so of it. The caller drops it, without the lock.
    fn take(&self, number: u64, is_over: impl FnOnce(&mut Session) -> bool) -> Option<Session> {
        let mut shift = self.shift();
        if shift.number != number {
            return None;
        }
        let over = is_over(shift.session.as_mut()?);
        if over { shift.session.take() } else { None }
    }

    fn detach(&self, number: u64) {
        let ended = self.take(number, |session| {
            session.clients -= 1;
            session.clients == 0 && !session.stays
        });
        if ended.is_some() {
            drop(ended);
            tracing::info!(target: "glasshouse::internal", "tokio-console is switched off: nobody looks any more");
        }
    }

    /// Ages what is recorded, and ends the session when it is past a limit.
    async fn watch(self, number: u64, stays: bool) {
        let reason = tokio::select! {
            () = self.0.recorder.age() => return,
            () = self.outgrown() => Reason::Memory,
            () = tokio::time::sleep(self.0.limits.time), if !stays => Reason::Time,
        };
        self.shift().resting = Some((Instant::now() + self.0.limits.rest, reason));
        let Some(session) = self.take(number, |_| true) else { return };
        let clients = session.clients;
        self.0.switched_off.inc(&[reason.word()]);
        tracing::warn!(
            target: "glasshouse::internal",
            { console.clients = clients, console.limit = reason.word() },
            "tokio-console is switched off: it is past its limit"
        );
        // Last, because it ends this task too. What serves the clients goes with it, and their streams end.
        drop(session);
    }

    async fn outgrown(&self) {
        let allocated = || allocated_bytes().unwrap_or_default();
        let most = allocated().saturating_add(self.0.limits.growth_bytes);
        let mut looks = interval_at(Instant::now() + LOOK, LOOK);
        loop {
            looks.tick().await;
            if allocated() > most {
                return;
            }
        }
    }
}

/// Somebody looks while this lives.
struct Attached {
    console: Console,
    number: u64,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.console.detach(self.number);
    }
}

async fn answer(State(console): State<Console>, request: Request) -> Response {
    let content = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_grpc = content.is_some_and(|content| content.starts_with(b"application/grpc"));
    if request.version() != Version::HTTP_2 || !is_grpc {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "gRPC is spoken here, and tokio-console speaks it\n")
            .into_response();
    }
    if request.uri().path().ends_with(WATCH) {
        return match console.attach() {
            Ok((server, attached)) => {
                let response = ask(server, request).await;
                response.map(|body| {
                    Body::new(body.map_frame(move |frame| {
                        // Kept until the stream is dropped, however it ends.
                        let _looking = &attached;
                        frame
                    }))
                })
            }
            Err(reason) => refused(RESOURCE_EXHAUSTED, &reason),
        };
    }
    match console.server() {
        Some(server) => ask(server, request).await,
        None => refused(FAILED_PRECONDITION, "it is off; WatchUpdates switches it on"),
    }
}

/// The server without its types, which are console-subscriber's.
fn boxed<S, B>(server: S) -> Server
where
    S: Service<Request, Response = axum::http::Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Server::new(server.map_response(|response| response.map(Body::new)))
}

async fn ask(server: Server, request: Request) -> Response {
    match server.oneshot(request).await {
        Ok(response) => response,
    }
}

/// gRPC's codes of that name.
const RESOURCE_EXHAUSTED: &str = "8";
const FAILED_PRECONDITION: &str = "9";

/// A refusal as gRPC has it: the call went through, and its outcome is in the headers.
fn refused(code: &'static str, reason: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (header::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code)),
        (
            header::HeaderName::from_static("grpc-message"),
            HeaderValue::from_str(reason).unwrap_or(HeaderValue::from_static("refused")),
        ),
    ];
    (headers, Body::empty()).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{runtime::Handle, task::yield_now, time::sleep};

    use super::{Console, Limits};
    use crate::telemetry::{Metrics, console::Recorder};

    const SHORT: Limits = Limits {
        clients: 2,
        growth_bytes: u64::MAX,
        time: Duration::from_millis(20),
        rest: Duration::from_millis(200),
    };

    fn console(stays: bool) -> Console {
        let metrics = Metrics::new(10);
        Console::within(SHORT, Recorder::new(&metrics), &Handle::current(), stays, &metrics)
    }

    fn is_on(console: &Console) -> bool {
        console.server().is_some()
    }

    #[tokio::test]
    async fn who_forgets_it_is_cut_off_and_may_come_back_after_a_rest() {
        let console = console(false);
        let Ok((_, forgotten)) = console.attach() else { panic!("it is free") };
        while is_on(&console) {
            yield_now().await;
        }
        let refused = console.attach().err().unwrap();
        assert!(refused.contains("limit of time"), "{refused}");
        sleep(SHORT.rest).await;
        let Ok((_, _again)) = console.attach() else { panic!("it has rested") };
        // Whoever looked at the session before does not end this one.
        drop(forgotten);
        assert!(is_on(&console));
    }

    #[tokio::test]
    async fn on_by_the_setting_it_stays_on_however_long_and_whoever_goes() {
        let console = console(true);
        let Ok((_, attached)) = console.attach() else { panic!("it is free") };
        drop(attached);
        sleep(SHORT.time * 3).await;
        assert!(is_on(&console));
    }
}
