//! Accepts connections, HTTP/1.1 and HTTP/2 without TLS alike, bounds what one of them can take, and lets them finish.

mod crowd;
#[cfg(test)]
mod floods;
mod lingering;
mod requests;
#[cfg(test)]
mod tests;

use std::{
    error::Error,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{interval_at, sleep},
};
use tower::Service;

use super::{
    Config,
    layers::Peer,
    metrics::{ConnectionMetrics, Refusal},
};
use crate::{lifecycle::Draining, telemetry};
use crowd::Crowd;
use lingering::Lingering;
use requests::{Requests, Running};

/// The most header lines of a request, and the most octets of all of them.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// The most streams that a client may begin and reset before anybody looked at them (CVE-2023-44487).
const MAX_RESETS: usize = 32;
/// How much of its bodies a client may send on one HTTP/2 stream, and on all of one connection, before they are read.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to read the rest of its answers once its connection is to end, in times of
/// `config.header_timeout`: a minute by default.
const LAST_READS: u32 = 6;
/// How long to wait when the system has no connection for us: without it a full table of files would spin a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until stopping is asked for and every connection has ended. Then nothing of it is left.
///
/// A connection ends by itself when its client is silent for up to twice `config.header_timeout`. If connections are
/// `shared`, one address that is no trusted proxy has at most a quarter of them.
///
/// # Panics
/// Outside a runtime.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: Config,
    shared: bool,
    mut draining: Draining,
    metrics: ConnectionMetrics,
) {
    let max = config.max_connections.max(1);
    metrics.max.set(&[], f64::from(max));
    let places = Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(Semaphore::MAX_PERMITS)));
    let server = Arc::new(Server {
        builder: builder(&config),
        router,
        patience: config.header_timeout,
        octets_a_request: octets_a_request(&config),
        metrics,
    });
    let crowd = shared.then(|| Crowd::new(max, config.trusted_proxies.clone()));
    loop {
        // A place first, a connection then: who finds none waits in the kernel's queue.
        let place = tokio::select! {
            () = draining.asked() => break,
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = draining.asked() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(seat) = crowd.as_ref().map_or(Some(None), |crowd| crowd.seat(peer.ip())) else {
                    server.metrics.failed(Refusal::Crowded);
                    continue;
                };
                let connection = Arc::clone(&server).connection(stream, peer, draining.clone());
                telemetry::spawn("connection", async move {
                    connection.await;
                    drop((place, seat));
                });
            }
            Err(error) => {
                server.metrics.failed(Refusal::Accept);
                tracing::debug!(target: "glasshouse::http", { error.message = %error }, "no connection could be accepted");
                tokio::select! {
                    () = draining.asked() => break,
                    () = sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    drop(places.acquire_many(max).await);
}

fn builder(config: &Config) -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// What one request can need on the wire: its headers, and its body in pieces as small as anybody sends them.
fn octets_a_request(config: &Config) -> u64 {
    let most = config.max_body_bytes.saturating_mul(8).saturating_add(MAX_HEADER_BYTES);
    u64::try_from(most).unwrap_or(u64::MAX)
}

/// What all connections share.
struct Server {
    builder: Builder<Streams>,
    router: Router,
    patience: Duration,
    octets_a_request: u64,
    metrics: ConnectionMetrics,
}

/// Runs what HTTP/2 does beside the connection itself, such as the requests on it.
#[derive(Clone)]
struct Streams;

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        drop(telemetry::spawn("stream", future));
    }
}

impl Server {
    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, mut draining: Draining) {
        let _open = self.metrics.open.hold(&[]);
        // Answers are written in one piece; waiting for more would only delay them.
        drop(stream.set_nodelay(true));
        let requests = Arc::new(Requests::new(self.octets_a_request));
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let running = Running::begin(&requests);
            let mut request: Request<Incoming> = request;
            request.extensions_mut().insert(Peer(peer));
            let answer = self.router.clone().call(request);
            async move {
                let answer = answer.await;
                running.answered();
                answer
            }
        });
        let stream = Lingering::new(stream, Arc::clone(&requests));
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let mut look = interval_at(tokio::time::Instant::now() + self.patience, self.patience);
        let mut seen = 0;
        let mut closing: Option<Instant> = None;
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        self.failed(&*error, &requests, closing.is_some());
                    }
                    return;
                }
                () = draining.asked(), if closing.is_none() => {
                    closing = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                _ = look.tick() => {
                    let begun = requests.begun();
                    let silent = begun == seen && !requests.are_under_way();
                    seen = begun;
                    match closing {
                        _ if !silent => {}
                        None if begun == 0 => {
                            self.metrics.failed(Refusal::HeaderTimeout);
                            return;
                        }
                        None => {
                            closing = Some(Instant::now());
                            connection.as_mut().graceful_shutdown();
                        }
                        Some(since) if since.elapsed() > self.patience * LAST_READS => {
                            self.metrics.failed(Refusal::Stalled);
                            return;
                        }
                        Some(_) => {}
                    }
                }
            }
        }
    }

    /// Counts why a connection broke. What hyper refuses, it answers by itself: with 400, or 431.
    /// A connection that we were `closing` may break off: only what was no HTTP is still the client's doing.
    fn failed(&self, error: &(dyn Error + Send + Sync + 'static), requests: &Requests, closing: bool) {
        let error = error.downcast_ref::<hyper::Error>();
        // What HTTP/2 itself refused, and told the client with GOAWAY.
        let refused = error.and_then(|error| error.source()?.downcast_ref::<h2::Error>());
        let refused = refused.filter(|refused| refused.is_library()).and_then(h2::Error::reason);
        let reason = match error {
            _ if requests.are_flooded() || refused == Some(h2::Reason::ENHANCE_YOUR_CALM) => Refusal::Flooded,
            Some(error) if error.is_parse_too_large() => Refusal::HeadersTooLarge,
            Some(error) if error.is_parse() => Refusal::Malformed,
            _ if refused.is_some_and(|reason| reason != h2::Reason::NO_ERROR) => Refusal::Malformed,
            _ if closing => return,
            // A client that was answered and then kept silent has done nothing wrong.
            Some(error) if error.is_timeout() && requests.begun() > 0 => return,
            Some(error) if error.is_timeout() => Refusal::HeaderTimeout,
            _ => Refusal::Aborted,
        };
        self.metrics.failed(reason);
    }
}
