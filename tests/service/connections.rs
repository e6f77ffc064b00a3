//! What one connection may ask for, octet by octet, and how it is told that it was too much.

use std::{net::SocketAddr, time::Duration};

use reqwest::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Engine, Service};

/// What is said until the connection ends: the status, and the problem's code.
async fn exchange(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read(stream).await
}

async fn read(mut stream: TcpStream) -> (String, String) {
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.ok();
    let said = String::from_utf8(said).unwrap();
    let status = said.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = said.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_http_1_1_names_one_host() {
    let service = Service::start().await;
    let get = |hosts: &str| format!("GET /health/live HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
    for hosts in ["", "host: a\r\nhost: b\r\n", "host: a b\r\n", "host: user@a\r\n"] {
        let said = exchange(service.public, &get(hosts)).await;
        assert_eq!(said, ("400".to_owned(), "host_invalid".to_owned()), "{hosts:?}");
    }
    for hosts in ["host:\r\n", "host: a:8080\r\n", "host: [::1]\r\n"] {
        assert_eq!(exchange(service.public, &get(hosts)).await.0, "200", "{hosts:?}");
    }
    assert_eq!(exchange(service.public, &get("").replace("1.1", "1.0")).await.0, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_drop_by_drop_is_not_waited_for() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "500ms")]).await;
    let mut stream = TcpStream::connect(service.public).await.unwrap();
    let head = "POST /api/v1/auth/sign-in HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    stream.write_all(format!("{head}content-length: 60000\r\n\r\n{{").as_bytes()).await.unwrap();
    let mut drops = tokio::time::interval(Duration::from_millis(20));
    // Minutes of them.
    for _ in 0..3000 {
        tokio::select! {
            _ = drops.tick() => drop(stream.write_all(b" ").await),
            readable = stream.readable() => {
                readable.unwrap();
                break;
            }
        }
    }
    assert_eq!(read(stream).await, ("408".to_owned(), "body_too_slow".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_without_end_are_refused_and_nothing_more_happens() {
    let service = Service::start().await;
    let client = service.client();
    let levels = |open: &str, close: &str| format!("{{\"email\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
    for body in [levels("[", "]"), levels("{\"a\":", "}"), format!("{{\"email\":{}", "[".repeat(60_000))] {
        let request = client.request(Method::POST, "/api/v1/auth/sign-in");
        let reply = client.send(request.header("content-type", "application/json").body(body)).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "body_malformed"));
        assert!(reply.json["detail"].as_str().unwrap().contains("recursion limit exceeded"), "{}", reply.text);
    }
    let request = client.request(Method::POST, "/api/v1/auth/sign-in").header("content-type", "application/json");
    let reply = client.send(request.body(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)))).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (422, "validation_failed"), "an array is no object");
    assert_eq!(client.get("/health/live").await.status, 200);
    assert_eq!(service.metric("glasshouse_panics_total").await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_wants_is_not_longer_than_others() {
    let service = Service::start().await;
    for method in ["GET", "DELETE"] {
        let request = |length: usize| {
            let head = format!("{method} /api/v1/users/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
            format!("{head}content-length: {length}\r\n\r\n{}", " ".repeat(length))
        };
        assert_eq!(exchange(service.public, &request(70_000)).await, ("413".to_owned(), "body_too_large".to_owned()));
        assert_ne!(exchange(service.public, &request(1000)).await.0, "413");
    }
}
