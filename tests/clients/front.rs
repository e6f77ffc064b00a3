//! The internal port with answers in front of it that no healthy service gives: names that are markup, a profile that
//! never ends, one that somebody else is taking.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use inferno::flamegraph::{Direction, Options, from_lines};

/// Shown as text, it harms nobody.
pub(crate) const HOSTILE: &str =
    "<script>document.title='harmed'</script><img src=x onerror=\"document.title='harmed'\">";

/// What was asked of it.
#[derive(Clone, Default)]
pub(crate) struct Front {
    internal: Option<SocketAddr>,
    is_sampling: Arc<AtomicBool>,
    /// Endless profiles that began and have not been broken off.
    pub(crate) endless: Arc<AtomicUsize>,
    /// Profiles that were taken to their end.
    pub(crate) taken: Arc<AtomicUsize>,
}

impl Front {
    /// Everything but a few paths is what that service answers.
    pub(crate) async fn of(internal: SocketAddr) -> (Self, String) {
        let front = Self { internal: Some(internal), ..Self::default() };
        let router = Router::new()
            .route("/debug/pprof/profile", get(profile))
            .route("/debug/pprof/heap", get(heap))
            .route("/debug/heap", get(sampling).put(sample))
            .route("/debug/pprof/goroutine", get(tasks))
            .fallback(behind)
            .with_state(front.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        glasshouse::telemetry::spawn("front", async move { axum::serve(listener, router).await.unwrap() });
        (front, base)
    }
}

/// 5 s are over at once, 10 s are somebody else's already, 30 s never end.
async fn profile(State(front): State<Front>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap();
    if query.contains("seconds=10") && !query.contains("force=true") {
        return (StatusCode::CONFLICT, "a CPU profile is being taken; force=true takes over\n").into_response();
    }
    if query.contains("seconds=30") {
        front.endless.fetch_add(1, SeqCst);
        let _ended = Ended(front);
        return std::future::pending().await;
    }
    front.taken.fetch_add(1, SeqCst);
    picture()
}

/// Dropped with the request, when the client goes away.
struct Ended(Front);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.endless.fetch_sub(1, SeqCst);
    }
}

async fn heap(State(front): State<Front>) -> Response {
    if front.is_sampling.load(SeqCst) {
        return picture();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "heap sampling is off; PUT /debug/heap?for=10m switches it on\n").into_response()
}

async fn sampling(State(front): State<Front>) -> &'static str {
    if front.is_sampling.load(SeqCst) { "on for 10m\n" } else { "off\n" }
}

async fn sample(State(front): State<Front>, RawQuery(query): RawQuery) -> &'static str {
    front.is_sampling.store(query.as_deref() == Some("for=10m"), SeqCst);
    sampling(State(front)).await
}

async fn tasks(RawQuery(query): RawQuery) -> Response {
    if query.as_deref() == Some("debug=2") {
        let task = |number| format!("task {number} \"connection\", waiting\n    {HOSTILE}\n    at line {number}");
        return (1..=200).map(task).collect::<Vec<_>>().join("\n\n").into_response();
    }
    picture()
}

fn picture() -> Response {
    let lines = ["main;run;burn 60", "main;run;idle 30", &format!("main;{HOSTILE} 10")];
    let mut options = Options::default();
    options.direction = Direction::Inverted;
    let mut svg = Vec::new();
    from_lines(&mut options, lines, &mut svg).unwrap();
    ([(CONTENT_TYPE, "image/svg+xml")], svg).into_response()
}

async fn behind(State(front): State<Front>, method: Method, uri: Uri, body: Bytes) -> Response {
    let url = format!("http://{}{uri}", front.internal.unwrap());
    let answer = reqwest::Client::new().request(method, url).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for name in ["content-type", "content-security-policy"] {
        if let Some(value) = answer.headers().get(name) {
            response = response.header(name, value);
        }
    }
    response.body(answer.bytes().await.unwrap().into()).unwrap()
}
