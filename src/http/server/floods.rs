//! HTTP/2 as attackers speak it, frame by frame: each flood ends, is counted, and keeps nobody else waiting.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    MAX_STREAMS,
    tests::{PATIENT, SHORT, Served, failures, served},
};
use crate::telemetry::spawn;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Kinds of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Their flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET http://a/` as HPACK writes it, and `GET http://a/gated`.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];
const GET_GATED: &[u8] = b"\x82\x86\x04\x06/gated\x41\x01a";
/// Far more than any connection may send for nothing.
const ENOUGH: usize = 64 * 1024 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The stream of a client's request of that number.
fn stream(number: u32) -> u32 {
    number % (1 << 29) * 2 + 1
}

/// Sends that until the connection is closed, reading whatever is answered, and says how much that took.
async fn flood(served: &Served, first: &[u8], mut next: impl FnMut(u32) -> Vec<u8>) -> usize {
    let mut connection = TcpStream::connect(served.address).await.expect("somebody listens");
    connection.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), first].concat()).await.expect("somebody reads");
    let (mut reader, mut writer) = connection.into_split();
    let reading = spawn("reader", async move {
        let mut read = vec![0; 65_536];
        while reader.read(&mut read).await.is_ok_and(|read| read > 0) {}
    });
    let (mut sent, mut number) = (0, 0);
    while sent < ENOUGH && !reading.is_finished() {
        let frames: Vec<u8> = (0..64).flat_map(|more| next(number + more)).collect();
        number += 64;
        let Ok(written) = timeout(PATIENT, writer.write_all(&frames)).await else { break };
        if written.is_err() {
            break;
        }
        sent += frames.len();
    }
    timeout(PATIENT, reading).await.expect("it is closed").expect("it does not panic");
    sent
}

/// Why connections failed: a word for each.
fn counted(metrics: &crate::telemetry::Metrics) -> Vec<&'static str> {
    let reasons = ["accept", "header_timeout", "headers_too_large", "malformed", "flooded", "stalled", "aborted"];
    let times = |reason: &&str| usize::try_from(failures(metrics, reason)).expect("it is small");
    reasons.into_iter().flat_map(|reason| std::iter::repeat_n(reason, times(&reason))).collect()
}

/// One flood, with somebody else who is answered while it lasts.
async fn ends(what: &str, reason: &str, first: &[u8], next: impl FnMut(u32) -> Vec<u8>) {
    let served = served(9, PATIENT).await;
    let other = async {
        for _ in 0..5 {
            let answer = served.ask(CLOSING);
            assert!(timeout(PATIENT, answer).await.expect("an answer in time").ends_with("here"), "{what}");
        }
    };
    let (sent, ()) = tokio::join!(flood(&served, first, next), other);
    assert!(sent < ENOUGH, "{what}: it was never closed");
    assert!(served.drain.drain(PATIENT).await, "{what}: nothing is left of it");
    assert_eq!(counted(&served.metrics), [reason], "{what}, after {sent} octets");
}

#[tokio::test]
async fn frames_that_ask_for_nothing_are_counted() {
    ends("PING", "flooded", &[], |_| frame(PING, 0, 0, &[0; 8])).await;
    ends("answers to no PING", "flooded", &[], |_| frame(PING, 1, 0, &[0; 8])).await;
    ends("SETTINGS", "flooded", &[], |_| frame(SETTINGS, 0, 0, &[])).await;
    ends("SETTINGS that change", "flooded", &[], |number| {
        frame(
            SETTINGS,
            0,
            0,
            &[&[0, 4, 0, 0], &u16::try_from(number % 60_000).expect("it is").to_be_bytes()[..]].concat(),
        )
    })
    .await;
    ends("PRIORITY", "flooded", &[], |number| frame(PRIORITY, 0, stream(number), &[0, 0, 0, 0, 15])).await;
    ends("WINDOW_UPDATE", "flooded", &[], |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await;
    ends("unknown frames", "flooded", &[], |_| frame(0x42, 0, 0, &[0; 100])).await;
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_are_counted() {
    ends("rapid reset", "flooded", &[], |number| {
        let stream = stream(number);
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, GET), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    })
    .await;
    // The service is made to take them back itself (CVE-2025-8671).
    ends("forced reset", "flooded", &[], |number| {
        let stream = stream(number);
        [frame(HEADERS, END_HEADERS, stream, GET_GATED), frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff])]
            .concat()
    })
    .await;
}

#[tokio::test]
async fn headers_and_bodies_without_end_are_cut() {
    let headers = frame(HEADERS, END_STREAM, 1, GET);
    ends("CONTINUATION", "flooded", &headers, |_| frame(CONTINUATION, 0, 1, &[0, 1, b'x', 1, b'y'])).await;
    ends("empty CONTINUATION", "flooded", &headers, |_| frame(CONTINUATION, 0, 1, &[])).await;
    let post = frame(HEADERS, END_HEADERS, 1, GET_GATED);
    ends("empty DATA", "flooded", &post, |_| frame(DATA, 0, 1, &[])).await;
}

#[tokio::test]
async fn windows_that_cannot_be_are_refused() {
    ends("an overflow", "malformed", &[], |_| frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])).await;
    ends("nothing", "malformed", &[], |_| frame(WINDOW_UPDATE, 0, 0, &[0; 4])).await;
    ends("too large", "malformed", &[], |_| frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])).await;
    ends("DATA before it is asked", "malformed", &[], |_| frame(DATA, 0, 1, &[0; 10])).await;
}

/// Every frame that comes until `enough` says so: its kind, its stream, its payload.
async fn frames(connection: &mut TcpStream, mut enough: impl FnMut(&(u8, u32, Vec<u8>)) -> bool) {
    loop {
        let mut head = [0; 9];
        timeout(PATIENT, connection.read_exact(&mut head)).await.expect("a frame in time").expect("it is open");
        let [high, middle, low, kind, _, stream @ ..] = head;
        let mut payload = vec![0; usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)];
        connection.read_exact(&mut payload).await.expect("it is open");
        if enough(&(kind, u32::from_be_bytes(stream), payload)) {
            return;
        }
    }
}

/// Everything until it is closed.
async fn rest(mut connection: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    drop(timeout(PATIENT, connection.read_to_end(&mut said)).await.expect("it is closed"));
    said
}

async fn http_2(served: &Served, settings: &[u8], more: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect(served.address).await.expect("somebody listens");
    let sent = [PREFACE, &frame(SETTINGS, 0, 0, settings), more].concat();
    connection.write_all(&sent).await.expect("somebody reads");
    connection
}

const CLOSING: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

fn gated(streams: u32) -> Vec<u8> {
    let asked = |number| frame(HEADERS, END_HEADERS | END_STREAM, stream(number), GET_GATED);
    (0..streams).flat_map(asked).collect()
}

#[tokio::test]
async fn no_more_streams_are_under_way_than_are_allowed() {
    let served = served(9, PATIENT).await;
    let mut connection = http_2(&served, &[], &gated(MAX_STREAMS + 20)).await;
    let mut refused = 0;
    frames(&mut connection, |(kind, _, payload)| {
        // REFUSED_STREAM: it may be asked again.
        refused += u32::from(*kind == RST_STREAM && payload.as_slice() == [0, 0, 0, 7]);
        refused == 20
    })
    .await;
    served.begun.acquire_many(MAX_STREAMS).await.expect("it is never closed").forget();
    assert_eq!(served.begun.available_permits(), 0);
    assert!(served.ask(CLOSING).await.ends_with("here"));
    served.gate.add_permits(1000);
}

#[tokio::test]
async fn whoever_asks_for_far_more_streams_than_are_allowed_is_cut() {
    let served = served(9, PATIENT).await;
    let connection = http_2(&served, &[], &gated(MAX_STREAMS + 100)).await;
    drop(rest(connection).await);
    assert!(served.drain.drain(PATIENT).await);
    assert_eq!(counted(&served.metrics), ["flooded"]);
}

/// A header of so many octets goes into the table, and is named again by one octet each time.
fn bomb(times: usize) -> Vec<u8> {
    let header = [&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..], &[b'y'; 4000]].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &[GET, &header, &vec![0xbe; times]].concat())
}

#[tokio::test]
async fn headers_that_unpack_to_more_are_refused() {
    let served = served(9, PATIENT).await;
    // 40 KB: too large, and told so on its stream.
    let mut connection = http_2(&served, &[], &bomb(9)).await;
    let mut answer = Vec::new();
    frames(&mut connection, |(kind, stream, payload)| {
        answer.clone_from(payload);
        *kind == HEADERS && *stream == 1
    })
    .await;
    // `:status`, and 431 in Huffman's code.
    assert!(answer.starts_with(&[0x48, 0x83, 0x69, 0x90, 0xff]), "{answer:x?}");
    drop(connection);
    // 48 MB.
    drop(rest(http_2(&served, &[], &bomb(12_000)).await).await);
    assert!(served.ask(CLOSING).await.ends_with("here"));
    assert!(served.drain.drain(PATIENT).await);
    assert_eq!(counted(&served.metrics).into_iter().filter(|reason| *reason == "flooded").count(), 1);
}

#[tokio::test]
async fn a_window_that_stays_closed_is_not_waited_for() {
    let served = served(9, SHORT).await;
    let get = frame(HEADERS, END_HEADERS | END_STREAM, 1, GET);
    let mut connection = http_2(&served, &[0, 4, 0, 0, 0, 0], &get).await;
    frames(&mut connection, |(kind, stream, _)| *kind == HEADERS && *stream == 1).await;
    assert!(served.drain.drain(PATIENT).await, "it has ended all the same");
    assert_eq!(failures(&served.metrics, "stalled"), 1);
}

#[tokio::test]
async fn headers_that_come_drop_by_drop_are_not_waited_for() {
    let served = served(9, Duration::from_millis(200)).await;
    let mut connection = http_2(&served, &[], &frame(HEADERS, END_STREAM, 1, GET)).await;
    let mut drops = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..3000 {
        drops.tick().await;
        // The head of a frame, octet by octet.
        if connection.write_all(&[0]).await.is_err() {
            break;
        }
    }
    assert!(served.drain.drain(PATIENT).await);
    assert_eq!(failures(&served.metrics, "header_timeout") + failures(&served.metrics, "malformed"), 1);
}
