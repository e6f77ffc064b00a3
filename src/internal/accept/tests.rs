//! Silent, deaf and flooding clients of the internal port, and its end.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use futures_util::stream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::{AcceptMetrics, MAX_STREAMS, accept_within};
use crate::{
    connection::{Listener, bind},
    internal::MAX_CONNECTIONS,
    lifecycle::{Drain, drain},
    telemetry::{self, Metrics, catalog},
};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_mins(10);
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const CLOSING: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

struct Served {
    address: SocketAddr,
    metrics: Metrics,
    drain: Drain,
}

fn served(silence: Duration, router: Router) -> Served {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (metrics, (drain, draining)) = (Metrics::new(10), drain());
    let listener = Listener::new(listener).unwrap();
    let accepting = accept_within(silence, listener, router, AcceptMetrics::new(&metrics), draining);
    drop(telemetry::spawn("accept", accepting));
    Served { address, metrics, drain }
}

fn here() -> Router {
    Router::new().route("/", get(async || "here"))
}

impl Served {
    async fn connect(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self) -> String {
        rest(self.connect(CLOSING).await).await
    }

    fn failures(&self, reason: &str) -> f64 {
        let failures = self.metrics.values(&catalog::INTERNAL_CONNECTION_FAILURES);
        failures.iter().find(|failure| failure.label("reason") == reason).map_or(-1.0, |failure| failure.number)
    }
}

async fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    drop(stream.read_to_end(&mut said).await);
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn silent_connection_is_closed_whatever_it_began_with() {
    let served = served(SHORT, here());
    for beginning in ["", "G", "P", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n"] {
        rest(served.connect(beginning).await).await;
    }
    // hyper itself ends the one that has sent half of its headers.
    assert!(served.failures("silent") >= 4.0, "{}", served.failures("silent"));
}

#[tokio::test]
async fn connections_beyond_the_limit_close_idle_ones_and_are_answered() {
    for beginning in ["", "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REQUEST] {
        let served = served(LONG, here());
        let mut held = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            held.push(served.connect(beginning).await);
        }
        assert!(served.ask().await.ends_with("here"), "{beginning}");
        assert!(served.failures("evicted") > 0.0);
        drop(held);
    }
}

#[tokio::test]
async fn clients_that_do_not_read_make_room_for_others() {
    // More than the system keeps for one connection.
    let long = Bytes::from(vec![b'a'; 16 << 20]);
    let router = here().route("/long", get(async move || long));
    let served = served(LONG, router);
    let mut deaf = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        deaf.push(served.connect(&REQUEST.replace("/ ", "/long ")).await);
    }
    assert!(served.ask().await.ends_with("here"));
    drop(deaf);
}

#[tokio::test]
async fn client_that_does_not_read_is_disconnected() {
    let long = Bytes::from(vec![b'a'; 16 << 20]);
    let served = served(SHORT, Router::new().route("/", get(async move || long)));
    let deaf = served.connect(REQUEST).await;
    assert!(served.drain.drain(Duration::from_mins(1)).await, "nothing is left of it");
    drop(deaf);
}

/// A router whose only response lasts for many times the silence, and says something only at its end.
fn patient(silence: Duration) -> Router {
    let answer = async move || {
        Body::from_stream(stream::once(async move {
            sleep(silence * 10).await;
            Ok::<_, std::io::Error>("the end")
        }))
    };
    Router::new().route("/", get(answer))
}

#[tokio::test]
async fn an_answer_that_lasts_is_not_cut_off_for_its_silence() {
    let served = served(SHORT, patient(SHORT));
    let url = format!("http://{}/", served.address);
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for client in [reqwest::Client::new(), http2] {
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "the end");
    }
}

#[tokio::test]
async fn large_response_arrives_whole_with_its_length() {
    let long = Bytes::from((0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    let sent = long.clone();
    let served = served(LONG, Router::new().route("/", get(async move || sent)));
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for client in [reqwest::Client::new(), http2] {
        let answer = client.get(format!("http://{}/", served.address)).send().await.unwrap();
        assert_eq!(answer.content_length(), Some(long.len() as u64));
        assert!(answer.bytes().await.unwrap() == long);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GET http://a/` as HPACK writes it.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];

#[tokio::test]
async fn http2_floods_are_cut_off() {
    type NextFrames = fn(u32) -> Vec<u8>;
    let kinds: [(&str, NextFrames); 4] = [
        ("ping", |_| frame(6, 0, 0, &[0; 8])),
        ("settings", |_| frame(4, 0, 0, &[])),
        ("rapid reset", |number| {
            let stream = number * 2 + 1;
            [frame(1, 5, stream, GET), frame(3, 0, stream, &[0, 0, 0, 8])].concat()
        }),
        (
            "continuation",
            |number| {
                if number == 0 { frame(1, 1, 1, GET) } else { frame(9, 0, 1, &[0, 1, b'x', 1, b'y']) }
            },
        ),
    ];
    for (kind, next) in kinds {
        let served = served(LONG, here());
        let flooding = TcpStream::connect(served.address).await.unwrap();
        let (mut reader, mut writer) = flooding.into_split();
        let reading = telemetry::spawn("reader", async move {
            let mut read = vec![0; 65_536];
            while reader.read(&mut read).await.is_ok_and(|read| read > 0) {}
        });
        writer.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await.unwrap();
        let mut number = 0;
        while !reading.is_finished() {
            let frames: Vec<u8> = (0..64).flat_map(|more| next(number + more)).collect();
            number += 64;
            assert!(number < 10_000_000, "{kind}: it was never closed");
            if writer.write_all(&frames).await.is_err() {
                break;
            }
        }
        assert!(served.ask().await.ends_with("here"), "{kind}");
    }
}

#[tokio::test]
async fn http2_window_that_stays_closed_is_not_waited_for() {
    let served = served(Duration::from_millis(500), here());
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let closed = [PREFACE, &frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]), &frame(1, 5, 1, GET)].concat();
    stream.write_all(&closed).await.unwrap();
    rest(stream).await;
    assert!(served.failures("silent") > 0.0);
}

#[tokio::test]
async fn debug_requests_beyond_the_limit_are_answered_503_and_probes_200() {
    let never = get(async || std::future::pending::<&str>().await);
    let served = served(LONG, Router::new().route("/debug/log", never).route("/metrics", get(async || "here")));
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        // `/debug/log` is written as it is, without Huffman's code.
        let get = [&[0x82, 0x86, 0x04, 10][..], b"/debug/log", &[0x41, 1, b'a']].concat();
        let asked = (0..MAX_STREAMS).flat_map(|number| frame(1, 5, number * 2 + 1, &get));
        stream.write_all(&[PREFACE.to_vec(), frame(4, 0, 0, &[]), asked.collect()].concat()).await.unwrap();
        held.push(stream);
    }
    let url = |path: &str| format!("http://{}{path}", served.address);
    loop {
        let request = tokio::time::timeout(Duration::from_millis(200), reqwest::get(url("/debug/log"))).await;
        if let Ok(response) = request {
            let response = response.unwrap();
            assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
            break;
        }
    }
    assert_eq!(reqwest::get(url("/metrics")).await.unwrap().status(), 200);
    drop(held);
}

#[tokio::test]
async fn connections_in_the_queue_at_the_stop_are_answered() {
    let served = served(LONG, here());
    // The accept loop does not run before this test awaits something.
    let queued: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(served.address).unwrap();
            std::io::Write::write_all(&mut stream, REQUEST.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    assert!(served.drain.drain(Duration::from_mins(1)).await);
    for stream in queued {
        let said = rest(TcpStream::from_std(stream).unwrap()).await;
        assert!(said.contains("connection: close") && said.ends_with("here"), "{said}");
    }
    let refused = TcpStream::connect(served.address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
