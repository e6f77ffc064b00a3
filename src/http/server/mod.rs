//! Accepts connections, HTTP/1.1 and HTTP/2 without TLS alike, bounds what one of them can take, and lets them finish.

mod crowd;
#[cfg(test)]
mod floods;
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
use hyper_util::{rt::TokioIo, server::conn::auto::Builder};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant as TokioInstant, interval_at, sleep},
};
use tower::Service;

use super::{
    Config,
    layers::Peer,
    metrics::{ConnectionMetrics, Refusal},
};
use crate::{
    connection::{Lingering, Listener, Requests, Running, bounded_server, bytes_per_request},
    lifecycle::Draining,
    telemetry,
};
use crowd::Crowd;

/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// How long a client may take to read the rest of its answers once its connection is to end, in times of
/// `config.header_timeout`: a minute by default.
const LAST_READS: u32 = 6;
/// How long handshakes that have begun may take to complete while the port is being closed.
const LAST_HANDSHAKES: Duration = Duration::from_millis(100);
/// How long a connection that was accepted before or during the stop may take to send its first request.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until stopping is asked for and every connection has ended. Then nothing of it is left.
///
/// A connection ends by itself when its client is silent for up to twice `config.header_timeout`. If connections are
/// `shared`, one address that is no trusted proxy has at most a quarter of them.
///
/// # Panics
/// Outside a runtime.
pub async fn serve(
    mut listener: Listener,
    router: Router,
    config: Config,
    shared: bool,
    draining: Draining,
    metrics: ConnectionMetrics,
) {
    let max = config.max_connections.max(1);
    metrics.max.set(&[], f64::from(max));
    let places = Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(Semaphore::MAX_PERMITS)));
    let server = Arc::new(Server {
        builder: bounded_server(Streams, config.header_timeout, MAX_STREAMS),
        router,
        patience: config.header_timeout,
        octets_a_request: bytes_per_request(config.max_body_bytes),
        metrics,
    });
    let crowd = shared.then(|| Crowd::new(max, config.trusted_proxies.clone()));
    let serve = |(stream, peer): (TcpStream, SocketAddr), place: OwnedSemaphorePermit| {
        let Some(seat) = crowd.as_ref().map_or(Some(None), |crowd| crowd.seat(peer.ip())) else {
            server.metrics.failed(Refusal::Crowded);
            return;
        };
        let connection = Arc::clone(&server).connection(stream, peer, draining.clone());
        telemetry::spawn("connection", async move {
            connection.await;
            drop((place, seat));
        });
    };
    let mut stopping = draining.clone();
    loop {
        // A place first, a connection then: who finds none waits in the kernel's queue.
        let place = tokio::select! {
            () = stopping.asked() => break,
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
        };
        tokio::select! {
            () = stopping.asked() => break,
            accepted = listener.accept(|| server.metrics.failed(Refusal::Accept)) => serve(accepted, place),
        }
    }
    listener.reject_new_connections();
    let until = TokioInstant::now() + LAST_HANDSHAKES;
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        let Some(accepted) = listener.accept_completed(until).await else { break };
        serve(accepted, place);
    }
    drop((listener, stopping));
    drop(places.acquire_many(max).await);
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
        let mut look = interval_at(TokioInstant::now() + self.patience, self.patience);
        let mut seen = 0;
        let mut closing: Option<Instant> = None;
        // hyper closes a connection whose first request it has not read yet, so that one has time to send it. The
        // response ends the connection, because it says `Connection: close`.
        let first_request = async {
            draining.asked().await;
            if requests.begun() == 0 {
                sleep(FIRST_REQUEST_TIMEOUT).await;
            }
        };
        let mut stop = pin!(first_request);
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        self.failed(&*error, &requests, closing.is_some());
                    }
                    return;
                }
                () = &mut stop, if closing.is_none() => {
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
