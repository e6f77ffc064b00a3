//! What a client sees when something below is gone, full, or too slow.

use std::{
    io::{Read, Write},
    time::Duration,
};

use glasshouse::{
    app::{App, Logging},
    config::{self, Sources},
    domain::Clock,
    telemetry::Output,
};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

use crate::support::{Client, Engine, PASSWORD, Postgres, Proxy, Reply, Service, eventually};

/// Nobody wants to wait five seconds for a connection that will not come.
const IMPATIENT: [(&str, &str); 2] =
    [("GLASSHOUSE_STORE__ACQUIRE_TIMEOUT", "300ms"), ("GLASSHOUSE_STORE__PING_TIMEOUT", "300ms")];

fn assert_unavailable(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.code()), (503, "store_unavailable"), "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
    let inside = ["postgres", "sql", "connection", "refused", "127.0.0.1", "pool"];
    assert!(inside.iter().all(|word| !reply.text.to_lowercase().contains(word)), "{}", reply.text);
}

/// Each probe's answer: live and ready, at the public port and at the internal one.
async fn probes(service: &Service) -> [u16; 4] {
    let client = service.client();
    let status = async |path: &str| service.internal(path).await.status().as_u16();
    [
        client.get("/health/live").await.status.as_u16(),
        client.get("/health/ready").await.status.as_u16(),
        status("/health/live").await,
        status("/health/ready").await,
    ]
}

async fn until_probed(service: &Service, what: &str, expected: [u16; 4]) {
    eventually(what, async || (probes(service).await == expected).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_stopped_makes_the_service_unavailable_but_not_dead() {
    let postgres = Postgres::start(&[]);
    let url = postgres.database().await;
    let service = Service::start_on(TempDir::new().unwrap(), &url, &IMPATIENT).await;
    let ann = service.client().joined("ann@example.com").await;
    assert_eq!(probes(&service).await, [200, 200, 200, 200]);

    drop(postgres);
    eventually("the store is gone", async || (ann.client.me().await.status == 503).then_some(())).await;
    assert_unavailable(&ann.client.me().await);
    assert_unavailable(&service.client().register("bob@example.com").await);
    assert_unavailable(&service.client().sign_in("ann@example.com", PASSWORD).await);
    assert_unavailable(&service.client().refresh(&ann.refresh_token).await);
    until_probed(&service, "it is alive and not ready", [200, 503, 200, 503]).await;
    eventually("the store is named", async || {
        let public = service.client().get("/health/ready?verbose").await;
        (public.json["parts"]["store"] == false).then_some(())
    })
    .await;
    let inside = service.internal("/health/ready?verbose").await.json::<serde_json::Value>().await.unwrap();
    assert!(inside["store"] != "ok" && inside["http"] == "ok", "{inside}");
    assert_eq!(service.metric("glasshouse_ready{check=\"store\"}").await, Some(0.0));

    let reply = ann.client.named("gone-1", ann.client.request(Method::GET, "/api/v1/users/me")).await;
    assert_unavailable(&reply);
    let line = service.line("gone-1").await;
    assert_eq!((line["level"].as_str(), line["error.type"].as_str()), (Some("ERROR"), Some("store_unavailable")));
    let chain = line["error.message"].as_str().unwrap();
    let causes: Vec<_> = chain.split(": ").collect();
    assert_eq!(&causes[..2], ["the store failed", "the store is unavailable"]);
    assert!(causes.len() > 2, "the cause is named: {chain}");
    let distinct: std::collections::BTreeSet<_> = causes.iter().collect();
    assert_eq!(distinct.len(), causes.len(), "and named once: {chain}");
    let told = service.lines().into_iter().filter(|line| line["request_id"] == "gone-1" && line["level"] == "ERROR");
    assert_eq!(told.count(), 1, "an error is logged once");
    service.stop().await.outcome.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_back_is_used_again() {
    let direct = Postgres::get().database().await;
    let target: url::Url = direct.parse().unwrap();
    let proxy = Proxy::start(format!("{}:{}", target.host_str().unwrap(), target.port().unwrap_or(5432))).await;
    let service = Service::start_on(TempDir::new().unwrap(), &proxy.url(&direct), &IMPATIENT).await;
    let ann = service.client().joined("ann@example.com").await;
    for _ in 0..2 {
        proxy.cut();
        assert_unavailable(&ann.client.me().await);
        until_probed(&service, "it is not ready", [200, 503, 200, 503]).await;
        proxy.mend();
        until_probed(&service, "it is ready again", [200, 200, 200, 200]).await;
        assert_eq!(ann.client.me().await.status, 200);
    }
    assert!(service.metric("glasshouse_ready{check=\"store\"}").await == Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_only_scrapes_sees_the_database_go_and_come_back() {
    let direct = Postgres::get().database().await;
    let target: url::Url = direct.parse().unwrap();
    let proxy = Proxy::start(format!("{}:{}", target.host_str().unwrap(), target.port().unwrap_or(5432))).await;
    let service = Service::start_on(TempDir::new().unwrap(), &proxy.url(&direct), &IMPATIENT).await;
    let until_shown = async |ready: f64| {
        eventually("the gauge moves without a probe", async || {
            (service.metric("glasshouse_ready{check=\"store\"}").await == Some(ready)).then_some(())
        })
        .await;
    };
    until_shown(1.0).await;
    proxy.cut();
    until_shown(0.0).await;
    proxy.mend();
    until_shown(1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_database_is_not_there_yet_starts_and_waits_for_it() {
    let direct = Postgres::get().database().await;
    let target: url::Url = direct.parse().unwrap();
    let proxy = Proxy::start(format!("{}:{}", target.host_str().unwrap(), target.port().unwrap_or(5432))).await;
    proxy.cut();
    let service = Service::started_on(TempDir::new().unwrap(), &proxy.url(&direct), &IMPATIENT);
    until_probed(&service, "it is alive and not ready", [200, 503, 200, 503]).await;
    assert_unavailable(&service.client().register("ann@example.com").await);
    proxy.mend();
    until_probed(&service, "it is ready", [200, 200, 200, 200]).await;
    assert_eq!(service.client().register("ann@example.com").await.status, 201);
}

#[test]
fn nobody_is_told_that_it_is_ready_before_it_is() {
    for _ in 0..10 {
        let folder = TempDir::new().unwrap();
        let key = folder.path().join("key.pem").display().to_string();
        let settings = [
            // Nobody listens on port 1.
            ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
            ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", &key),
            ("GLASSHOUSE_HTTP__LISTEN", "127.0.0.1:0"),
            ("GLASSHOUSE_INTERNAL__LISTEN", "127.0.0.1:0"),
            // The heap is sampled for the whole process, and other tests run in it.
            ("GLASSHOUSE_INTERNAL__HEAP_SAMPLING", "false"),
            ("GLASSHOUSE_SHUTDOWN__NOTICE", "0s"),
        ];
        let settings = [&settings[..], &IMPATIENT].concat();
        let environment = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let settings = config::load(&Sources::given(None, environment)).unwrap();
        let output = Output { writer: Box::new(std::io::sink()), is_terminal: false };
        let app = App::build(settings, output, Logging::Threads).unwrap();
        // The question waits at the open port for the first moment in which it is served.
        let mut asked = std::net::TcpStream::connect(app.internal_address().unwrap()).unwrap();
        asked.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let (stops, requests) = mpsc::channel(2);
        let running = std::thread::spawn(move || app.run(&Clock::system(), || Ok(requests)));
        let mut answer = String::new();
        asked.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        stops.blocking_send("the test").unwrap();
        running.join().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_passwords_at_once_are_refused_and_not_queued_for_ever() {
    let settings = [("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "1"), ("GLASSHOUSE_SHED__MAX_WAIT", "1ms")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    assert_eq!(service.client().register("ann@example.com").await.status, 201);
    let client = service.client();
    let all = (0..12).map(|_| client.sign_in("ann@example.com", PASSWORD));
    let replies = futures_util::future::join_all(all).await;
    let (granted, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(!granted.is_empty() && !refused.is_empty());
    assert!(refused.iter().all(|reply| reply.status == 503 && !reply.header("retry-after").is_empty()), "{refused:?}");
    // The gate lets four begin; a hash takes longer than the rest of them may wait for its thread.
    let hashes = refused.iter().filter(|reply| reply.code() == "hashing_overloaded").count();
    assert!(hashes > 0 && refused.iter().any(|reply| reply.code() == "overloaded"), "{refused:?}");
    let count = service.metric("glasshouse_password_hashes_refused_total").await.unwrap();
    assert_eq!(format!("{count}"), hashes.to_string());
    assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200, "later it works");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "5ms")]).await;
    let client = service.client();
    let body = json!({ "email": "ann@example.com", "password": PASSWORD, "name": "Ann" });
    let reply = client.named("slow-1", client.request(Method::POST, "/api/v1/users").json(&body)).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (504, "timeout"));
    let line = service.line("slow-1").await;
    assert_eq!((line["level"].as_str(), line["error.type"].as_str()), (Some("ERROR"), Some("timeout")));
}

#[tokio::test]
async fn a_client_that_sends_too_slowly_is_told_that_it_is_the_client() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "50ms")]).await;
    let mut stream = TcpStream::connect(service.public).await.unwrap();
    let head = "POST /api/v1/users HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_too_slow"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_with_and_without_a_length() {
    let service = Service::start().await;
    let client: Client = service.client();
    let fits = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024 - 11));
    let post = |body: reqwest::Body| {
        client.send(client.request(Method::POST, "/api/v1/users").header("content-type", "application/json").body(body))
    };
    assert_eq!(fits.len(), 64 * 1024);
    assert_eq!(post(fits.clone().into()).await.status, 422);
    let long = post((fits + " ").into()).await;
    assert_eq!((long.status.as_u16(), long.code()), (413, "body_too_large"));
    let longer = post("x".repeat(400_000).into()).await;
    assert_eq!((longer.status.as_u16(), longer.code()), (413, "body_too_large"));
}

#[tokio::test]
async fn a_refusal_arrives_also_where_the_body_was_not_looked_at() {
    let service = Service::start().await;
    let client = service.client();
    for (method, path, status) in [
        (Method::POST, "/nowhere", 404),
        (Method::DELETE, "/api/v1/users/me", 405),
        (Method::PUT, "/api/v1/users/0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b", 401),
        (Method::POST, "/api/v1/users", 415),
    ] {
        for _ in 0..5 {
            let reply = client.send(client.request(method.clone(), path).body("x".repeat(60_000))).await;
            assert_eq!(reply.status, status, "{path}");
            reply.code();
        }
    }
}

/// A reset would take the answer away from whoever has not read it yet.
#[tokio::test]
async fn a_client_that_is_still_sending_is_not_reset() {
    let service = Service::start().await;
    let mut stream = TcpStream::connect(service.public).await.unwrap();
    stream.write_all(b"POST /nowhere HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    for _ in 0..10 {
        stream.write_all(&[b'x'; 4096]).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn one_connection_more_than_is_allowed_waits_for_its_turn() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__MAX_CONNECTIONS", "1")]).await;
    let request = b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: a\r\n\r\n";
    let answered = async |stream: &mut TcpStream| {
        let mut said = Vec::new();
        while !said.ends_with(b"]}") {
            assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0);
        }
    };
    let mut first = TcpStream::connect(service.public).await.unwrap();
    first.write_all(request).await.unwrap();
    answered(&mut first).await;
    let mut second = TcpStream::connect(service.public).await.unwrap();
    second.write_all(request).await.unwrap();
    for _ in 0..3 {
        first.write_all(request).await.unwrap();
        answered(&mut first).await;
    }
    assert!(second.try_read(&mut [0]).is_err(), "it must not have been answered");
    assert_eq!(service.metric("glasshouse_http_connections").await, Some(1.0));
    assert_eq!(service.metric("glasshouse_http_connections_max").await, Some(1.0));
    drop(first);
    tokio::time::timeout(Duration::from_secs(10), answered(&mut second)).await.unwrap();
}
