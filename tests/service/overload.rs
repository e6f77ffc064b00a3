//! More is asked than can be done: who is served all the same, who is told to come back, and that it is over when it is
//! over. What is worked on is kept from ending by a fault, so that nothing depends on how quick the machine is.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::support::{Client, Engine, PASSWORD, Reply, Service, Session, eventually};

const ME: &str = "/api/v1/users/me";
const SIGN_IN: &str = "/api/v1/auth/sign-in";

/// Whoever has to wait is told within a fifth of a second, a burst within two.
async fn rehearsing() -> (Service, Session) {
    rehearsing_with(("GLASSHOUSE_HTTP__MAX_CONNECTIONS", "1024")).await
}

async fn rehearsing_with(setting: (&str, &str)) -> (Service, Session) {
    let settings = [("GLASSHOUSE_FAULTS__ALLOWED", "true"), ("GLASSHOUSE_SHED__MAX_WAIT", "20ms"), setting];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    (service, ann)
}

/// Nothing that is asked for there ends, until [`end`].
async fn hang(service: &Service, route: &str) {
    let faults = json!([{ "fault": "hang", "route": route }]).to_string();
    let url = format!("http://{}/debug/faults", service.internal);
    assert_eq!(reqwest::Client::new().put(url).body(faults).send().await.unwrap().status(), 200);
}

async fn end(service: &Service) {
    let url = format!("http://{}/debug/faults", service.internal);
    assert_eq!(reqwest::Client::new().delete(url).send().await.unwrap().status(), 200);
}

async fn gauge(service: &Service, what: &str, class: &str) -> f64 {
    service.metric(&format!("glasshouse_concurrency_{what}{{class=\"{class}\"}}")).await.unwrap()
}

async fn until_used(service: &Service, class: &str, used: f64) {
    eventually("that many are worked on", async || {
        ((gauge(service, "used", class).await - used).abs() < 0.5).then_some(())
    })
    .await;
}

/// Asks until as many are worked on as may be.
async fn fill(service: &Service, class: &str, client: &Client, ask: fn(Client) -> Asked) -> JoinSet<Reply> {
    let limit = gauge(service, "limit", class).await;
    let mut asked = JoinSet::new();
    let mut used = 0.0;
    while used < limit {
        asked.spawn(ask(client.clone()));
        used += 1.0;
    }
    until_used(service, class, limit).await;
    asked
}

type Asked = std::pin::Pin<Box<dyn Future<Output = Reply> + Send>>;

fn reads(client: Client) -> Asked {
    Box::pin(async move { client.me().await })
}

fn signs_in(client: Client) -> Asked {
    Box::pin(async move { client.sign_in("ann@example.com", PASSWORD).await })
}

fn assert_shed(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.code()), (503, "overloaded"), "{reply:?}");
    let after: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=3).contains(&after), "{after}");
}

async fn shed(service: &Service, class: &str) -> f64 {
    let of = |reason| format!("glasshouse_requests_shed_total{{class=\"{class}\",reason=\"{reason}\"}}");
    service.metric(&of("waited")).await.unwrap() + service.metric(&of("full")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_many_is_told_to_come_back_while_probes_and_sign_ins_are_answered() {
    let (service, ann) = rehearsing().await;
    hang(&service, ME).await;
    let stuck = fill(&service, "other", &ann.client, reads).await;
    let more = futures_util::future::join_all((0..3).map(|_| ann.client.me())).await;
    more.iter().for_each(assert_shed);
    let apart: std::collections::BTreeSet<_> = more.iter().map(|reply| reply.header("retry-after")).collect();
    assert_eq!(apart.len(), 3, "they do not all come back together");
    assert_eq!(shed(&service, "other").await.to_string(), "3");
    let series = format!(
        "http_server_request_duration_seconds_count{{error_type=\"overloaded\",http_request_method=\"GET\",\
         http_response_status_code=\"503\",http_route=\"{ME}\",url_scheme=\"http\"}}"
    );
    assert_eq!(service.metric(&series).await, Some(3.0));

    for path in ["/health/live", "/health/ready", "/.well-known/jwks.json", "/api/v1/openapi.json"] {
        assert_eq!(service.client().get(path).await.status, 200, "{path}");
    }
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(service.internal(path).await.status(), 200, "{path}");
    }
    assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200, "another class");
    assert_eq!(service.client().register("bob@example.com").await.status, 201, "another class");

    end(&service).await;
    for reply in stuck.join_all().await {
        assert_eq!(reply.status, 200, "whoever was let in is served");
    }
    until_used(&service, "other", 0.0).await;
    assert_eq!(ann.client.me().await.status, 200);
    assert_eq!(gauge(&service, "waiting", "other").await.to_string(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_leaves_while_its_refusal_is_held_back_counts_as_refused() {
    let (service, ann) = rehearsing().await;
    hang(&service, ME).await;
    let mut stuck = fill(&service, "other", &ann.client, reads).await;
    let (mut more, held) = (JoinSet::new(), "glasshouse_refusals_held{class=\"other\"}");
    // A few refusals are immediate: how many depends on how fast the machine is.
    eventually("a refusal is held back", async || {
        for _ in 0..100 {
            more.spawn(reads(ann.client.clone()));
        }
        service.metric(held).await.filter(|held| *held > 0.5)
    })
    .await;
    more.shutdown().await;
    eventually("no refusal is held back", async || service.metric(held).await.filter(|held| *held < 0.5)).await;
    let bad = "glasshouse_slo_request_duration_seconds_count{availability=\"bad\"}";
    eventually("each refusal counts as bad", async || {
        let (refused, bad) = (shed(&service, "other").await, service.metric(bad).await?);
        ((refused - bad).abs() < 0.5).then_some(())
    })
    .await;
    stuck.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_end_their_connections_when_they_are_held_back_on_most_of_them() {
    let (service, ann) = rehearsing_with(("GLASSHOUSE_HTTP__MAX_CONNECTIONS", "400")).await;
    hang(&service, ME).await;
    let mut stuck = fill(&service, "other", &ann.client, reads).await;
    let few = futures_util::future::join_all((0..3).map(|_| ann.client.me())).await;
    assert!(few.iter().all(|reply| !reply.headers.contains_key("connection")), "{few:?}");
    // Clients that retry at once, until three quarters of 400 refusals are held.
    let has_ended = AtomicBool::new(false);
    let clients = (0..360).map(async |_| {
        while !has_ended.load(Relaxed) {
            let reply = ann.client.me().await;
            assert_shed(&reply);
            if reply.headers.get("connection").is_some_and(|value| value == "close") {
                has_ended.store(true, Relaxed);
            }
        }
    });
    let all = futures_util::future::join_all(clients);
    tokio::time::timeout(Duration::from_mins(2), all).await.expect("a refusal ends its connection");
    stuck.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_sign_ins_keeps_nobody_from_reading() {
    let (service, ann) = rehearsing().await;
    hang(&service, SIGN_IN).await;
    let stuck = fill(&service, "passwords", &service.client(), signs_in).await;
    assert_shed(&service.client().sign_in("ann@example.com", PASSWORD).await);
    assert_shed(&service.client().register("bob@example.com").await);
    assert_shed(&ann.client.change_password(&ann.id, PASSWORD, "another canary").await);
    assert_eq!(ann.client.me().await.status, 200);
    assert_eq!(ann.client.change(&ann.id, "*", &json!({ "name": "Lee" })).await.status, 200);
    assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 200);
    assert_eq!(
        (shed(&service, "passwords").await.to_string(), shed(&service, "other").await.to_string()),
        ("3".into(), "0".into())
    );

    end(&service).await;
    for reply in stuck.join_all().await {
        // The last of them may have waited in vain for the thread that hashes, on a machine that is busy.
        assert!(reply.status == 200 || reply.code() == "hashing_overloaded", "{reply:?}");
    }
    assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_gives_the_place_back() {
    let (service, ann) = rehearsing().await;
    hang(&service, ME).await;
    let mut stuck = fill(&service, "other", &ann.client, reads).await;
    assert_shed(&ann.client.read(&ann.id).await);
    stuck.shutdown().await;
    until_used(&service, "other", 0.0).await;
    assert_eq!(ann.client.read(&ann.id).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_slowly_takes_nobodys_place() {
    let (service, _) = rehearsing().await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string();
    let (first, rest) = body.split_at(9);
    let head = format!(
        "POST {SIGN_IN} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
        body.len()
    );
    let limit = gauge(&service, "limit", "passwords").await;
    let (mut slow, mut count) = (Vec::new(), 0.0);
    while count < 2.0 * limit {
        let mut stream = TcpStream::connect(service.public).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
        count += 1.0;
    }
    let active = "http_server_active_requests{http_request_method=\"POST\",url_scheme=\"http\"}";
    eventually("all are under way", async || (service.metric(active).await? > count - 0.5).then_some(())).await;
    assert_eq!(gauge(&service, "used", "passwords").await.to_string(), "0");
    assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200);

    slow[0].write_all(rest.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    slow[0].read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200", "what came slowly is read all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_waits_for_its_turn() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "1")]).await;
    service.client().joined("ann@example.com").await;
    let client = service.client();
    let all = (0..20).map(|_| client.sign_in("ann@example.com", PASSWORD));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(|reply| reply.status == 200), "{all:?}");
    assert_eq!(shed(&service, "passwords").await.to_string(), "0");
}
