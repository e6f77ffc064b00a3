//! Whoever asks nonsense, or too much at once, is told so in words, and harms nobody.

use std::time::Duration;

use glasshouse::telemetry::{catalog, spawn};
use reqwest::{Client, Response, StatusCode};

use crate::{cpu::alone, heap::Sampled, support::Service};

/// Longer than the longest wait for a turn, and far shorter than for ever.
const PATIENCE: Duration = Duration::from_secs(40);

async fn ask(client: &Client, url: &str) -> Response {
    client.get(url).timeout(PATIENCE).send().await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Says which statuses may answer nonsense: that it is none, that it is, that nobody can, and that it is not now.
fn assert_sane(status: StatusCode, url: &str) {
    assert!(matches!(status.as_u16(), 200 | 400 | 409 | 429 | 501 | 503), "{status}: {url}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_any_parameter_of_any_path_is_answered() {
    let _alone = alone().await;
    let service = Service::start().await;
    let client = Client::new();
    let names = ["seconds", "frequency", "format", "debug", "force", "full", "for", "route", "since", "gc", "verbose"];
    let values =
        ["abc", "", "-1", "0", "1e9", "NaN", "1.5", "99999999999999999999", "%FF", "%00", "%", "%0d%0a", "1&{}=2"];
    for path in catalog::PATHS.iter().map(|path| path.name) {
        // Of a parameter that is given twice the first counts, so this only keeps sound requests short.
        let short = match path {
            "/debug/pprof/profile" => "&frequency=0",
            "/debug/pprof/goroutine" => "&debug=9",
            "/debug/pprof/trace" => "&seconds=0.001",
            _ => "",
        };
        for name in names {
            for value in values {
                let value = value.replace("{}", name);
                let url = format!("http://{}{path}?{name}={value}{short}", service.internal);
                assert_sane(ask(&client, &url).await.status(), &url);
            }
        }
        for query in ["%", "&&&", "=", "?", "%ff%fe", &"x".repeat(7000)] {
            let url = format!("http://{}{path}?{query}{short}", service.internal);
            assert_sane(ask(&client, &url).await.status(), &url);
        }
    }
    assert_eq!(service.internal("/health/live").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_profiles_at_once_are_taken_in_turn_or_refused_in_words() {
    let _alone = alone().await;
    let sampled = Sampled::start().await;
    sampled.on().await;
    let paths = ["profile?seconds=1", "heap", "goroutine", "trace?seconds=0.1"];
    let client = Client::new();
    // More requests than one network may have at once, on fewer connections than it may have.
    let asked: Vec<_> = (0..60)
        .map(|number| {
            let (client, path) = (client.clone(), paths[number % paths.len()]);
            let url = sampled.url(&format!("/debug/pprof/{path}"));
            spawn("client", async move {
                let reply = ask(&client, &url).await;
                let is_marked = reply.headers().contains_key("x-go-pprof");
                (path, reply.status().as_u16(), is_marked, reply.bytes().await.unwrap())
            })
        })
        .collect();
    assert_eq!(ask(&client, &sampled.url("/metrics")).await.status(), 200, "the port answers meanwhile");
    let mut answered = Vec::new();
    for request in asked {
        let (path, status, is_marked, body) = request.await.unwrap();
        if status == 200 {
            answered.push(path);
        } else {
            let text = String::from_utf8_lossy(&body);
            let is_taken = status == 409 && is_marked && text.contains("another");
            let is_full = status == 503 && text.contains("too many requests");
            assert!(is_taken || is_full, "{path}: {status} {text}");
        }
    }
    for path in paths {
        assert!(answered.contains(&path), "nobody got {path}");
        let reply = ask(&client, &sampled.url(&format!("/debug/pprof/{path}"))).await;
        assert_eq!(reply.status(), 200, "{path}, once there is room again");
    }
    sampled.off().await;
}
