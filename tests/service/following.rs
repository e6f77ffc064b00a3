//! `/debug/trace`: live requests as events, for whoever asks, and bounded.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use reqwest::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{Client, PASSWORD, Reply, Service, eventually};

/// An open stream of events.
struct Follower {
    answer: reqwest::Response,
    read: String,
}

/// What came before the end, by the event's name.
type Events = Vec<(String, Value)>;

impl Follower {
    /// Follows from now on.
    async fn of(service: &Service, query: &str) -> Self {
        let answer = service.internal(&format!("/debug/trace?{query}")).await;
        assert_eq!(answer.status(), 200, "{query}");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut follower = Self { answer, read: String::new() };
        assert_eq!(follower.next().await.unwrap().0, "begin");
        follower
    }

    /// The next event; nothing when the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, _)) = self.read.split_once("\n\n") {
                let (parsed, end) = (parse(event), event.len() + 2);
                self.read.drain(..end);
                if parsed.is_some() {
                    return parsed;
                }
                continue;
            }
            let chunk = self.answer.chunk().await.ok()??;
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Everything up to the line that ends the request of that id, with it.
    async fn until(&mut self, id: &str) -> Events {
        let mut events = Events::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            let is_last = event.0 == "request" && event.1["request_id"] == id;
            events.push(event);
            if is_last {
                return events;
            }
        }
    }
}

/// A comment is nothing.
fn parse(event: &str) -> Option<(String, Value)> {
    let name = event.lines().find_map(|line| line.strip_prefix("event: "))?;
    let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some((name.to_owned(), serde_json::from_str(data).unwrap()))
}

/// Reads the own account, as the request of that id.
async fn me(client: &Client, id: &str) -> Reply {
    client.send(client.request(Method::GET, "/api/v1/users/me").header("x-request-id", id)).await
}

fn requests(events: &Events) -> BTreeSet<&str> {
    let ended = events.iter().filter(|(name, _)| name == "request");
    ended.map(|(_, line)| line["request_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_request_is_seen_with_its_statements_and_the_line_that_the_log_has() {
    let service = Service::start_with(crate::support::Engine::Sqlite, &[("GLASSHOUSE_LOG__FILTER", "error")]).await;
    let ann = service.client().joined("ann@example.com").await;
    let mut follower = Follower::of(&service, "request=one").await;
    me(&ann.client, "another").await;
    me(&ann.client, "one").await;
    let events = follower.until("one").await;
    assert_eq!(requests(&events), ["one"].into());
    let line = &events.last().unwrap().1;
    assert_eq!(line["http.route"], "/api/v1/users/me");
    assert_eq!(line["http.response.status_code"], 200);
    assert_eq!(line["user.id"], ann.id.as_str());
    let statements: Vec<_> = events.iter().filter(|(name, _)| name == "statement").map(|(_, line)| line).collect();
    assert_eq!(Some(statements.len() as u64), line["db.queries"].as_u64(), "{events:?}");
    assert_eq!(statements[0]["request_id"], "one");
    assert!(statements.iter().any(|line| line["db.query.summary"] == "SELECT sessions"), "{statements:?}");
    assert!(statements.iter().all(|line| line["duration_seconds"].as_f64().unwrap() > 0.0), "{statements:?}");
    // Nothing of this is in the log, which is set to errors.
    assert!(service.stop().await.lines.is_empty());
}

#[tokio::test]
async fn what_is_followed_is_what_the_log_says() {
    let service = Service::start().await;
    let mut follower = Follower::of(&service, "request=one").await;
    me(&service.client(), "one").await;
    let (_, seen) = follower.until("one").await.pop().unwrap();
    let mut logged = service.line("one").await;
    logged["timestamp"] = seen["timestamp"].clone();
    assert_eq!(seen, logged);
}

#[tokio::test]
async fn requests_are_followed_by_route_and_by_user_and_by_both() {
    let service = Service::start().await;
    let (ann, bob) =
        (service.client().joined("ann@example.com").await, service.client().joined("bob@example.com").await);
    let by_route = "route=/api/v1/users/%7Bid%7D&for=10m";
    let mut of_route = Follower::of(&service, by_route).await;
    let mut of_user = Follower::of(&service, &format!("user={}", ann.id)).await;
    let mut of_both = Follower::of(&service, &format!("{by_route}&user={}", ann.id)).await;
    let read = async |session: &crate::support::Session, id: &str| {
        let request = session.client.request(Method::GET, &format!("/api/v1/users/{}", session.id));
        assert_eq!(session.client.send(request.header("x-request-id", id)).await.status, 200);
    };
    me(&ann.client, "ann-me").await;
    read(&bob, "bob-read").await;
    me(&bob.client, "bob-me").await;
    read(&ann, "ann-read").await;
    assert_eq!(requests(&of_route.until("ann-read").await), ["ann-read", "bob-read"].into());
    assert_eq!(requests(&of_user.until("ann-read").await), ["ann-me", "ann-read"].into());
    assert_eq!(requests(&of_both.until("ann-read").await), ["ann-read"].into());
}

#[tokio::test]
async fn without_a_parameter_every_request_is_followed_and_a_path_that_is_nowhere_too() {
    let service = Service::start().await;
    let mut all = Follower::of(&service, "").await;
    let mut unmatched = Follower::of(&service, "route=_unmatched").await;
    let client = service.client();
    me(&client, "known").await;
    client.send(client.request(Method::GET, "/nowhere").header("x-request-id", "nowhere")).await;
    let seen = all.until("nowhere").await;
    assert!(requests(&seen).is_superset(&["known", "nowhere"].into()), "{seen:?}");
    assert_eq!(requests(&unmatched.until("nowhere").await), ["nowhere"].into());
}

#[tokio::test]
async fn it_ends_by_itself_and_frees_its_place() {
    let service = Service::start().await;
    let mut follower = Follower::of(&service, "request=none&for=1s").await;
    assert_eq!(service.metric("glasshouse_followers").await, Some(1.0));
    assert_eq!(follower.next().await, Some(("end".to_owned(), serde_json::json!({}))));
    assert_eq!(follower.next().await, None);
    assert_eq!(service.metric("glasshouse_followers").await, Some(0.0));
}

#[tokio::test]
async fn so_many_follow_at_once_and_who_goes_makes_room() {
    let service = Service::start().await;
    let mut following = Vec::new();
    for _ in 0..4 {
        following.push(Follower::of(&service, "for=10m").await);
    }
    let refused = service.internal("/debug/trace").await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "30"));
    assert!(refused.text().await.unwrap().contains("force=true"));
    // The newest takes over from the oldest, which ends, and from no other.
    following.push(Follower::of(&service, "for=10m&force=true").await);
    let mut oldest = following.remove(0);
    assert_eq!(oldest.next().await, Some(("end".to_owned(), serde_json::json!({ "reason": "taken_over" }))));
    assert_eq!(oldest.next().await, None);
    assert_eq!(service.internal("/debug/trace").await.status(), 429);
    me(&service.client(), "seen-1").await;
    for follower in &mut following {
        follower.until("seen-1").await;
    }
    following.pop();
    eventually("there is a place again", async || {
        (service.internal("/debug/trace").await.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn garbage_is_refused_by_the_name_of_the_parameter() {
    let service = Service::start().await;
    for (query, named) in [
        ("for=ever", "for"),
        ("for=11m", "for"),
        ("route=users", "route"),
        ("user=", "user"),
        ("request=%FF%00", "request"),
        ("route=/a&route=/b", "route"),
        ("wanted=1", "route, user, request, for and force"),
    ] {
        let refused = service.internal(&format!("/debug/trace?{query}")).await;
        assert_eq!(refused.status(), 400, "{query}");
        assert!(refused.text().await.unwrap().contains(named), "{query}");
    }
    assert_eq!(service.metric("glasshouse_followers").await, Some(0.0));
}

/// A connection that takes hardly anything before it is read.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_lines_and_is_told_how_many() {
    let service = Service::start().await;
    let mut slow = narrow(service.internal).await;
    slow.write_all(b"GET /debug/trace?route=_unmatched&for=10m HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    eventually("it follows", async || (service.metric("glasshouse_followers").await == Some(1.0)).then_some(())).await;
    let client = service.client();
    // Long lines, so that what the sockets take in is full soon.
    let agent = "x".repeat(256);
    let series = "glasshouse_follow_dropped_total";
    let mut asked: u64 = 0;
    while service.metric(series).await.unwrap() < 1.0 {
        for _ in 0..100 {
            client.send(client.request(Method::GET, "/nowhere").header("user-agent", &agent)).await;
        }
        asked += 100;
        assert!(asked < 100_000, "nothing is ever dropped");
    }
    let mut text = String::new();
    let mut octets = vec![0; 65536];
    let told = |text: &str| {
        let (whole, _) = text.rsplit_once("\n\n").unwrap_or_default();
        let lines = whole.split("\n\n").filter_map(|event| event.rsplit_once("event: "));
        lines.filter(|(_, event)| event.starts_with("dropped")).count() > 0
    };
    while !told(&text) {
        let length = tokio::time::timeout(Duration::from_secs(10), slow.read(&mut octets)).await.unwrap().unwrap();
        assert!(length > 0, "the stream ended");
        text.push_str(&String::from_utf8_lossy(&octets[..length]));
    }
    let lines = text.split("{\"lines\":").nth(1).unwrap().split('}').next().unwrap();
    let dropped = service.metric(series).await.unwrap();
    assert!((lines.parse::<f64>().unwrap() - dropped).abs() < 0.5, "told {lines}, counted {dropped}");
    drop(slow);
    eventually("its place is free", async || (service.metric("glasshouse_followers").await == Some(0.0)).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_who_follows() {
    let service = Service::start().await;
    let mut follower = Follower::of(&service, "for=10m").await;
    let began = std::time::Instant::now();
    let (stopped, ()) = tokio::join!(service.stop(), async { while follower.next().await.is_some() {} });
    stopped.outcome.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nothing_secret_is_followed() {
    let service = Service::start().await;
    let mut follower = Follower::of(&service, "").await;
    let client = service.client();
    let ann = client.joined("canary.ann@example.com").await;
    client.sign_in("canary.ann@example.com", "canary-wrong").await;
    client.get("/canary.ann@example.com?password=canary-wrong").await;
    ann.client.change_password(&ann.id, PASSWORD, "canary-new-password").await;
    client.refresh(&ann.refresh_token).await;
    me(&ann.client, "last").await;
    let events = follower.until("last").await;
    assert!(events.len() > 15, "{events:?}");
    let text = format!("{events:?}");
    for secret in ["canary", &ann.access_token, &ann.refresh_token, "$argon2"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
