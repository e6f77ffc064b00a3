//! Accepts connections to the internal port and ends those that are silent, flood, or make room for others.

#[cfg(test)]
mod tests;

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioIo, server::conn::auto::Builder};
use tokio::{
    net::TcpStream,
    task::yield_now,
    time::{Instant, interval_at},
};
use tower::Service;

use super::{
    connections::{Admitted, Connection, Connections, Purpose},
    guard::{Ends, is_open},
    patient::Patient,
    progress::Progress,
};
use crate::{
    connection::{Lingering, Listener, Requests, Running, bounded_server, bytes_per_request},
    lifecycle::Draining,
    telemetry::{self, Counter, Gauge, Metrics, catalog},
};

/// How long a connection may be silent, or not take what it asked for. Scrapers come more often than this, and keep
/// theirs.
const SILENCE: Duration = Duration::from_secs(90);
/// How many requests of one HTTP/2 connection run at once.
const MAX_STREAMS: u32 = 32;
/// The largest body that a route accepts.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How many connections are accepted before the others have their turn. Fewer than one network may have, so that each
/// connection is asked for its request before newer ones can take its place; and many, because a client that connects
/// and goes away fills the queue in which probes wait too.
const BATCH: u32 = 32;
/// How long handshakes that have begun may take to complete while the port is being closed.
const LAST_HANDSHAKES: Duration = Duration::from_millis(50);

/// Runs what HTTP/2 does beside the connection itself, such as the requests on it.
#[derive(Clone)]
struct Streams;

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        drop(telemetry::spawn("internal stream", future));
    }
}

/// Why a connection ended without a response.
#[derive(Debug, Clone, Copy)]
enum Failure {
    /// The system gave no connection.
    Accept,
    /// A newer connection took its place.
    Evicted,
    /// The client was silent, or did not read.
    Silent,
    /// The client sent far more than its requests can need.
    Flooded,
}

impl Failure {
    const ALL: [Self; 4] = [Self::Accept, Self::Evicted, Self::Silent, Self::Flooded];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Evicted => "evicted",
            Self::Silent => "silent",
            Self::Flooded => "flooded",
        }
    }
}

/// Open connections of this port, and those that failed. Cheap to clone.
#[derive(Clone)]
pub(super) struct AcceptMetrics {
    open: Gauge,
    failed: Counter,
}

impl AcceptMetrics {
    /// All series, at zero.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let this = Self {
            open: metrics.gauge(&catalog::INTERNAL_CONNECTIONS),
            failed: metrics.counter(&catalog::INTERNAL_CONNECTION_FAILURES),
        };
        for failure in Failure::ALL {
            this.failed.add(&[failure.as_str()], 0);
        }
        this.open.set(&[], 0.0);
        this
    }

    fn failed(&self, failure: Failure) {
        self.failed.inc(&[failure.as_str()]);
    }
}

/// Serves until stopping is asked for. Then what the kernel has completed is accepted and answered.
pub(super) async fn accept(listener: Listener, router: Router, metrics: AcceptMetrics, draining: Draining) {
    accept_within(SILENCE, listener, router, metrics, draining).await;
}

async fn accept_within(
    silence: Duration,
    mut listener: Listener,
    router: Router,
    metrics: AcceptMetrics,
    mut draining: Draining,
) {
    let server = Arc::new(Server { builder: bounded_server(Streams, silence, MAX_STREAMS), router, silence, metrics });
    let connections = Connections::default();
    let mut accepted: u32 = 0;
    loop {
        let (stream, peer) = tokio::select! {
            () = draining.asked() => break,
            next = listener.accept(|| server.metrics.failed(Failure::Accept)) => next,
        };
        server.spawn(stream, connections.admit(peer.ip()), &draining);
        accepted = (accepted + 1) % BATCH;
        if accepted == 0 {
            yield_now().await;
        }
    }
    listener.reject_new_connections();
    let until = Instant::now() + LAST_HANDSHAKES;
    while let Some((stream, peer)) = listener.accept_completed(until).await {
        server.spawn(stream, connections.admit(peer.ip()), &draining);
    }
}

/// What all connections share.
struct Server {
    builder: Builder<Streams>,
    router: Router,
    silence: Duration,
    metrics: AcceptMetrics,
}

impl Server {
    fn spawn(self: &Arc<Self>, stream: TcpStream, admitted: Admitted, draining: &Draining) {
        let Admitted { connection, evicted } = admitted;
        if evicted {
            self.metrics.failed(Failure::Evicted);
        }
        let (server, draining) = (Arc::clone(self), draining.clone());
        drop(telemetry::spawn("internal connection", async move {
            let _open = server.metrics.open.hold(&[]);
            server.serve(stream, &connection, draining).await;
        }));
    }

    async fn serve(&self, stream: TcpStream, connection: &Connection, mut draining: Draining) {
        let ends = ConnectInfo(Ends::of(&stream));
        let requests = Arc::new(Requests::new(bytes_per_request(MAX_BODY_BYTES)));
        let stopping = draining.clone();
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(ends);
            let (running, connection, stopping) = (Running::begin(&requests), connection.clone(), stopping.clone());
            let (router, version) = (self.router.clone(), request.version());
            async move {
                let mut response = answer(router, request, &connection).await;
                running.answered();
                if version < Version::HTTP_2 && stopping.is_asked() {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let stream = Lingering::new(stream, Arc::clone(&requests));
        let stream = TokioIo::new(Patient::new(stream, self.silence));
        let mut serving = pin!(self.builder.serve_connection(stream, service));
        // Neither hyper nor the kernel has a clock for every way to be silent: before the first bytes, between the
        // frames of HTTP/2, or with a window that stays closed.
        let mut look = interval_at(Instant::now() + self.silence, self.silence);
        let mut closing = false;
        loop {
            tokio::select! {
                // A client that breaks off has broken nothing.
                _ = serving.as_mut() => {
                    if requests.are_flooded() {
                        self.metrics.failed(Failure::Flooded);
                    }
                    return;
                }
                () = connection.evicted() => return,
                () = draining.asked(), if !closing => {
                    closing = true;
                    // hyper closes a connection whose first request it has not read yet.
                    if requests.begun() > 0 {
                        serving.as_mut().graceful_shutdown();
                    }
                }
                _ = look.tick() => {
                    if connection.idle_for().is_some_and(|idle| idle >= self.silence) {
                        self.metrics.failed(Failure::Silent);
                        return;
                    }
                }
            }
        }
    }
}

async fn answer(mut router: Router, request: Request<Incoming>, connection: &Connection) -> Response {
    let purpose = if is_open(request.uri().path()) { Purpose::Probe } else { Purpose::Debug };
    let Some(_active) = connection.begin(purpose) else {
        let reason = "this port answers too many requests at this moment; try again\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], reason).into_response();
    };
    if purpose == Purpose::Debug {
        // Requests that came at once are counted before the first of them runs.
        yield_now().await;
    }
    let Ok(response) = router.call(request).await;
    response.map(|body| Body::new(Progress::new(body, connection.clone())))
}
