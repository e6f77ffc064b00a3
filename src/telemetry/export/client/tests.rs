//! The texts of failed exports: each names the host, the cause down to the system's error, and what to do.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{CollectorClient, SendError, address, jittered};
use crate::telemetry::{Export, Protocol, Tls, export::message::SPANS_METHOD};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

fn client(endpoint: &str, protocol: Protocol, timeout: Duration) -> CollectorClient {
    let export = Export {
        endpoint: endpoint.parse().unwrap(),
        protocol,
        headers: Vec::new(),
        tls: Tls::default(),
        gzip: false,
        timeout,
    };
    CollectorClient::new(&export, SPANS_METHOD).unwrap()
}

async fn failure(endpoint: &str, protocol: Protocol) -> String {
    let error = client(endpoint, protocol, Duration::from_secs(20)).send(Vec::new()).await.unwrap_err();
    assert!(matches!(error, SendError::Failed(_)), "{error}");
    error.to_string()
}

/// A server that answers whatever it reads with these bytes, and closes.
async fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    crate::telemetry::spawn("test server", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if stream.read(&mut [0; 4096]).await.is_ok() {
                stream.write_all(bytes).await.ok();
            }
        }
    });
    address.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connection_is_named_with_its_address() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for protocol in BOTH {
        let text = failure(&format!("http://{gone}/v1/traces?api-key=hush"), protocol).await;
        assert!(text.starts_with(&format!("http://{gone}/v1/traces: ")), "{text}");
        assert!(text.contains("Connection refused") && !text.contains("hush"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_host_is_named() {
    for protocol in BOTH {
        let text = failure("http://collector.invalid:4319", protocol).await;
        assert!(text.contains("collector.invalid:4319") && text.contains("dns error"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_server_behind_https_is_recognisable() {
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    for protocol in BOTH {
        let text = failure(&format!("https://{plain}"), protocol).await;
        assert!(text.contains("InvalidContentType"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_page_of_another_server_are_named() {
    let missing = answering(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let text = failure(&format!("http://{missing}"), Protocol::HttpProtobuf).await;
    assert!(text.contains("answered 404 Not Found"), "{text}");
    let page = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>").await;
    let text = failure(&format!("http://{page}"), Protocol::HttpProtobuf).await;
    assert!(text.contains("not an OTLP response"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_beyond_every_clock_is_a_failure_with_its_reason() {
    let busy = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 18446744073709551615\r\ncontent-length: 0\r\n\r\n";
    let text = failure(&format!("http://{}", answering(busy).await), Protocol::HttpProtobuf).await;
    assert!(text.contains("answered 503"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_of_the_other_protocol_have_a_hint() {
    for (protocol, port, hint) in [
        (Protocol::HttpProtobuf, 4317, Some("port 4318, or OTEL_EXPORTER_OTLP_PROTOCOL=grpc")),
        (Protocol::Grpc, 4318, Some("port 4317, or OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")),
        (Protocol::HttpProtobuf, 4318, None),
        (Protocol::Grpc, 4317, None),
    ] {
        let text = failure(&format!("http://collector.invalid:{port}"), protocol).await;
        match hint {
            Some(hint) => assert!(text.ends_with(hint), "{text}"),
            None => assert!(!text.contains("usually"), "{text}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_collector_is_a_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    for protocol in BOTH {
        let error = client(&endpoint, protocol, Duration::from_millis(50)).send(Vec::new()).await.unwrap_err();
        assert!(matches!(error, SendError::Timeout(_)), "{error}");
        assert!(error.to_string().contains("no answer within 50ms"), "{error}");
    }
}

#[test]
fn address_of_a_collector_has_no_secret() {
    let url = "https://ann:hush@collector:4318/v1/traces?api-key=hush#hush".parse().unwrap();
    assert_eq!(address(&url), "https://collector:4318/v1/traces");
}

#[test]
fn retry_pause_is_between_half_and_whole() {
    for _ in 0..100 {
        let pause = jittered(Duration::from_secs(1));
        assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&pause), "{pause:?}");
    }
}
