//! What one connection can take, and how it ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinHandle,
};

use super::{Config, ConnectionMetrics, serve};
use crate::{
    connection::{Listener, bind},
    lifecycle::{Drain, drain},
    telemetry::{Metrics, spawn},
};

pub(super) const PATIENT: Duration = Duration::from_mins(1);
pub(super) const SHORT: Duration = Duration::from_millis(30);
pub(super) const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

static LARGE: &[u8] = &[b'x'; 16 * 1024 * 1024];

pub(super) struct Served {
    pub(super) address: SocketAddr,
    pub(super) metrics: Metrics,
    pub(super) drain: Drain,
    ended: JoinHandle<()>,
    /// A request to `/gated` gives `begun` a permit when it begins, and ends when `gate` has one.
    pub(super) begun: Arc<Semaphore>,
    pub(super) gate: Arc<Semaphore>,
}

pub(super) async fn served(max_connections: u32, header_timeout: Duration) -> Served {
    let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let listener = Listener::new(listener).expect("it is within a runtime");
    let config = Config {
        listen: address,
        trusted_proxies: Vec::new(),
        cors_origins: Vec::new(),
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
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/gated", gated)
        // More than two sockets hold, in one piece that all answers share.
        .route("/large", get(async || Bytes::from_static(LARGE)));
    let ended = spawn("server", serve(listener, router, config, false, draining, ConnectionMetrics::new(&metrics)));
    Served { address, metrics, drain, ended, begun, gate }
}

impl Served {
    pub(super) async fn connect(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("somebody listens");
        stream.write_all(text.as_bytes()).await.expect("somebody reads");
        stream
    }

    /// Everything that is said until the connection ends.
    pub(super) async fn ask(&self, text: &str) -> String {
        rest(self.connect(text).await).await
    }
}

pub(super) async fn rest(mut stream: TcpStream) -> String {
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
pub(super) fn failures(metrics: &Metrics, reason: &str) -> u64 {
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

#[tokio::test]
async fn headers_that_come_drop_by_drop_are_not_waited_for() {
    let served = served(9, Duration::from_millis(200)).await;
    let mut stream = served.connect("GET / HTTP/1.1\r\nx: ").await;
    // Far more than a minute's worth.
    let mut drops = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..3000 {
        drops.tick().await;
        if stream.write_all(b"x").await.is_err() {
            break;
        }
        if stream.try_read(&mut [0]).is_ok_and(|read| read == 0) {
            break;
        }
    }
    assert!(served.drain.drain(PATIENT).await);
    assert_eq!(failures(&served.metrics, "header_timeout"), 1);
}

#[tokio::test]
async fn whoever_does_not_read_its_answer_is_not_waited_for() {
    let served = served(9, SHORT).await;
    let mut unread = served.connect("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    unread.read_exact(&mut [0; 12]).await.expect("its beginning is read");
    assert!(served.drain.drain(PATIENT).await, "it has ended all the same");
    assert_eq!(failures(&served.metrics, "stalled"), 1);
}
