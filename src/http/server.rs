//! Accepts connections, HTTP/1.1 and HTTP/2 without TLS alike, bounds what one of them can take, and lets them finish.

use std::{
    error::Error,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
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
    lingering::Lingering,
    metrics::{ConnectionMetrics, Refusal},
};
use crate::{lifecycle::Draining, telemetry};

/// The most header lines of a request, and the most octets of all of them.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// The most streams that a client may begin and reset before anybody looked at them (CVE-2023-44487).
const MAX_RESETS: usize = 32;
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to read the rest of its answers once its connection is to end.
const LAST_READS: Duration = Duration::from_mins(1);
/// How long to wait when the system has no connection for us: without it a full table of files would spin a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until stopping is asked for and every connection has ended. Then nothing of it is left.
///
/// A connection ends by itself when its client is silent for up to twice `config.header_timeout`.
///
/// # Panics
/// Outside a runtime.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: Config,
    mut draining: Draining,
    metrics: ConnectionMetrics,
) {
    let max = config.max_connections.max(1);
    metrics.max.set(&[], f64::from(max));
    let places = Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(Semaphore::MAX_PERMITS)));
    let server = Arc::new(Server { builder: builder(&config), router, patience: config.header_timeout, metrics });
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
                let connection = Arc::clone(&server).connection(stream, peer, draining.clone());
                telemetry::spawn("connection", async move {
                    connection.await;
                    drop(place);
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
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// What all connections share.
struct Server {
    builder: Builder<Streams>,
    router: Router,
    patience: Duration,
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

/// How many requests have begun and have been answered on one connection.
#[derive(Default)]
struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// Counts a request as answered, also when it was given up.
struct Running(Arc<Requests>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}

impl Server {
    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, mut draining: Draining) {
        let _open = self.metrics.open.hold(&[]);
        // Answers are written in one piece; waiting for more would only delay them.
        drop(stream.set_nodelay(true));
        let requests = Arc::new(Requests::default());
        let service = service_fn(|request: hyper::Request<Incoming>| {
            requests.begun.fetch_add(1, Relaxed);
            let running = Running(Arc::clone(&requests));
            let mut request: Request<Incoming> = request;
            request.extensions_mut().insert(Peer(peer));
            let answer = self.router.clone().call(request);
            async move {
                let answer = answer.await;
                drop(running);
                answer
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(Lingering::new(stream)), service));
        let mut look = interval_at(tokio::time::Instant::now() + self.patience, self.patience);
        let mut seen = 0;
        let mut closing: Option<Instant> = None;
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        self.failed(&*error, requests.begun.load(Relaxed), closing.is_some());
                    }
                    return;
                }
                () = draining.asked(), if closing.is_none() => {
                    closing = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                _ = look.tick() => {
                    let begun = requests.begun.load(Relaxed);
                    let silent = begun == seen && begun == requests.ended.load(Relaxed);
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
                        Some(since) if since.elapsed() > LAST_READS => {
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
    fn failed(&self, error: &(dyn Error + Send + Sync + 'static), begun: u64, closing: bool) {
        let reason = match error.downcast_ref::<hyper::Error>() {
            Some(error) if error.is_parse_too_large() => Refusal::HeadersTooLarge,
            Some(error) if error.is_parse() => Refusal::Malformed,
            _ if closing => return,
            // A client that was answered and then kept silent has done nothing wrong.
            Some(error) if error.is_timeout() && begun > 0 => return,
            Some(error) if error.is_timeout() => Refusal::HeaderTimeout,
            _ => Refusal::Aborted,
        };
        self.metrics.failed(reason);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc, time::Duration};

    use axum::{Router, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::Semaphore,
        task::JoinHandle,
    };

    use super::{Config, ConnectionMetrics, serve};
    use crate::{
        lifecycle::{Drain, drain},
        telemetry::{Metrics, spawn},
    };

    const PATIENT: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(30);
    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    struct Served {
        address: SocketAddr,
        metrics: Metrics,
        drain: Drain,
        ended: JoinHandle<()>,
        /// A request to `/gated` takes a permit from `begun` when it begins, and ends when `gate` has one.
        begun: Arc<Semaphore>,
        gate: Arc<Semaphore>,
    }

    async fn served(max_connections: u32, header_timeout: Duration) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let config = Config {
            listen: address,
            trusted_proxies: Vec::new(),
            max_connections,
            header_timeout,
            request_timeout: PATIENT,
            max_body_bytes: 1024,
            server_timing: false,
            slow: PATIENT,
            max_wait: Duration::from_secs(1),
        };
        let metrics = Metrics::new(100);
        let (drain, draining) = drain();
        let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (begins, opens) = (Arc::clone(&begun), Arc::clone(&gate));
        let gated = get(async move || {
            begins.add_permits(1);
            opens.acquire().await.expect("it is never closed").forget();
            "at last"
        });
        let router = Router::new().route("/", get(async || "here")).route("/gated", gated);
        let ended = spawn("server", serve(listener, router, config, draining, ConnectionMetrics::new(&metrics)));
        Served { address, metrics, drain, ended, begun, gate }
    }

    impl Served {
        async fn connect(&self, text: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.expect("somebody listens");
            stream.write_all(text.as_bytes()).await.expect("somebody reads");
            stream
        }

        /// Everything that is said until the connection ends.
        async fn ask(&self, text: &str) -> String {
            rest(self.connect(text).await).await
        }
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut said = Vec::new();
        // A server that has heard enough may reset the connection; what it said before counts.
        drop(stream.read_to_end(&mut said).await);
        String::from_utf8(said).expect("it is text")
    }

    async fn until_answered(stream: &mut TcpStream) {
        let mut said = Vec::new();
        while !said.ends_with(b"here") {
            assert_ne!(stream.read_buf(&mut said).await.expect("it is open"), 0);
        }
    }

    /// The failures for that reason.
    fn failures(metrics: &Metrics, reason: &str) -> u64 {
        let families = metrics.gather();
        let family = families.iter().find(|family| family.name().contains("failures")).expect("it is exported");
        let mut series = family.get_metric().iter();
        let series = series.find(|series| series.get_label()[0].value() == reason).expect("it begins at zero");
        format!("{}", series.get_counter().get_value()).parse().expect("a whole number")
    }

    #[tokio::test]
    async fn what_is_no_http_is_refused_and_counted() {
        let served = served(9, PATIENT).await;
        assert!(served.ask("NONSENSE\r\n\r\n").await.starts_with("HTTP/1.1 400"));
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(40_000));
        assert!(served.ask(&long).await.starts_with("HTTP/1.1 431"));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
        assert!(served.ask(&many).await.starts_with("HTTP/1.1 431"));
        assert!(served.drain.drain(PATIENT).await);
        served.ended.await.expect("it ends by itself");
        assert_eq!((failures(&served.metrics, "malformed"), failures(&served.metrics, "headers_too_large")), (1, 2));
    }

    #[tokio::test]
    async fn whoever_is_silent_is_not_waited_for() {
        let served = served(9, SHORT).await;
        for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: a"] {
            assert_eq!(served.ask(beginning).await, "", "{beginning}");
        }
        // After an answer too, but then it is no failure.
        assert!(served.ask(REQUEST).await.ends_with("here"));
        assert!(served.drain.drain(PATIENT).await);
        assert_eq!(failures(&served.metrics, "header_timeout"), 4);
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_while_draining() {
        let served = served(9, PATIENT).await;
        let mut idle = served.connect(REQUEST).await;
        until_answered(&mut idle).await;
        let busy = served.connect("GET /gated HTTP/1.1\r\nhost: a\r\n\r\n").await;
        served.begun.acquire().await.expect("it is never closed").forget();
        let drained = spawn("drain", served.drain.drain(PATIENT));
        assert_eq!(rest(idle).await, "", "an idle connection is closed at once");
        assert!(!drained.is_finished());
        served.gate.add_permits(1);
        assert!(rest(busy).await.ends_with("at last"));
        assert!(drained.await.expect("it does not panic"));
        served.ended.await.expect("it ends by itself");
        assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn http_2_is_spoken_without_tls() {
        let served = served(9, PATIENT).await;
        let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
        let url = format!("http://{}/", served.address);
        for _ in 0..2 {
            let answer = client.get(&url).send().await.expect("an answer");
            assert_eq!(answer.version(), reqwest::Version::HTTP_2);
            assert_eq!(answer.text().await.expect("a text"), "here");
        }
        assert!(served.drain.drain(PATIENT).await, "an idle client is told to go");
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_for_its_turn() {
        let served = served(1, PATIENT).await;
        let mut first = served.connect(REQUEST).await;
        until_answered(&mut first).await;
        let mut second = served.connect(REQUEST).await;
        // The first is served again and again while the second is not.
        for _ in 0..3 {
            first.write_all(REQUEST.as_bytes()).await.expect("it is open");
            until_answered(&mut first).await;
        }
        let mut nothing = [0];
        assert!(second.try_read(&mut nothing).is_err(), "it must not have been answered");
        drop(first);
        until_answered(&mut second).await;
    }
}
