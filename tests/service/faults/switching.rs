//! Switching faults: who may, what is refused, what is shown and told, and that they end by themselves.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{ME, end, met, on, put, rehearsing, shown, switch};
use crate::support::{Engine, Service, eventually};

async fn refusal(reply: Response) -> (u16, String) {
    (reply.status().as_u16(), reply.text().await.unwrap())
}

/// Our own warnings, by what they say and what they list.
fn told(service: &Service) -> Vec<(String, Value)> {
    let lines = service.lines().into_iter().filter(|line| line["target"] == "glasshouse::faults");
    lines
        .map(|line| {
            assert_eq!(line["level"], "WARN", "{line}");
            let listed = serde_json::from_str(line["faults.on"].as_str().unwrap()).unwrap();
            (line["message"].as_str().unwrap().to_owned(), listed)
        })
        .collect()
}

#[tokio::test]
async fn nothing_can_be_injected_where_the_settings_do_not_allow_it() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    assert_eq!(shown(&service).await, json!({ "allowed": false, "on": [], "ends_in_seconds": null }));
    let fault = json!([{ "fault": "error", "route": ME }]).to_string();
    for (method, query, body) in [
        (Method::PUT, "", fault.as_str()),
        (Method::PUT, "?for=1m", "rubbish"),
        (Method::PUT, "?for=ever", "rubbish"),
        (Method::DELETE, "", ""),
    ] {
        let (status, said) = refusal(switch(&service, method, query).body(body.to_owned()).send().await.unwrap()).await;
        assert_eq!(status, 403, "{said}");
        assert!(said.contains("faults.allowed"), "{said}");
    }
    assert_eq!(ann.client.me().await.status, 200);
    assert!(told(&service).is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_entry_and_field_and_changes_nothing() {
    let (service, ann) = rehearsing(Engine::Sqlite).await;
    let before = put(&service, &json!([{ "fault": "error", "route": ME }])).await;
    let good = r#"[{"fault": "hang", "statement": "SELECT users by email"}]"#;
    for (query, body, named) in [
        ("", "", "a JSON list"),
        ("", "delay", "a JSON list"),
        ("", r#"[{"fault": "refused_pool"}, {"fault": "dely"}]"#, "entry 2: fault must be one of delay, error, hang,"),
        ("", r#"[{"fault": "delay", "route": "/api/v1/users/me"}]"#, "entry 1: for must be"),
        ("", r#"[{"fault": "error", "route": "/api/v1/users/me", "share": 2}]"#, "entry 1: share must be"),
        ("", r#"[{"fault": "error", "route": "/api/v1/users/me", "shar": 1}]"#, "entry 1: \"shar\" is no field"),
        ("", r#"[{"fault": "error", "route": "/health/ready"}]"#, "entry 1: route must be one of /api/v1/users,"),
        ("", r#"[{"fault": "error", "statement": "SELECT * FROM users"}]"#, "entry 1: statement must be one of BEGIN,"),
        ("", r#"[{"fault": "blocked_worker", "workers": 3}]"#, "entry 1: workers must be a whole number from 1 to 2"),
        ("?for=61m", good, "for must be a duration of at most 1h"),
        ("?for=0s", good, "for must be a duration of at most 1h"),
        ("?until=1m", good, "the only parameter is for"),
    ] {
        let (status, said) =
            refusal(switch(&service, Method::PUT, query).body(body.to_owned()).send().await.unwrap()).await;
        assert_eq!(status, 400, "{query} {body}: {said}");
        assert!(said.contains(named), "{query} {body}: {said}");
    }
    let long = format!("[{}]", " ".repeat(16 * 1024));
    assert_eq!(switch(&service, Method::PUT, "").body(long).send().await.unwrap().status(), 413);
    let cross_site = switch(&service, Method::PUT, "").header("sec-fetch-site", "cross-site").body("[]");
    assert_eq!(cross_site.send().await.unwrap().status(), 403);
    assert_eq!(shown(&service).await["on"], before["on"]);
    assert_eq!(ann.client.me().await.status, 500);
}

#[tokio::test]
async fn faults_end_by_themselves_and_each_change_is_told_once() {
    let (service, ann) = rehearsing(Engine::Sqlite).await;
    let first = json!({ "fault": "error", "route": ME, "share": 1.0 });
    let shown_first = put(&service, &json!([first])).await;
    assert_eq!((&shown_first["on"], &shown_first["allowed"]), (&json!([first]), &json!(true)));
    let left = shown_first["ends_in_seconds"].as_f64().unwrap();
    assert!((590.0..=600.0).contains(&left), "{left}");

    let second = json!([{ "fault": "hang", "route": "/api/v1/users/{id}", "method": "GET" }, { "fault": "task_leak", "per_second": 1 }]);
    put(&service, &second).await;
    let live: Value = service.internal("/debug/live").await.json().await.unwrap();
    assert_eq!(live["faults"], json!(["hang", "task_leak"]), "the page says so");
    assert_eq!(ann.client.me().await.status, 200, "the list replaces the one before");
    assert_eq!(
        (on(&service, "error").await, on(&service, "hang").await, on(&service, "task_leak").await),
        (0.0, 1.0, 1.0)
    );
    let reply = switch(&service, Method::PUT, "?for=200ms").body(second.to_string()).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    eventually("they end", async || shown(&service).await["on"].as_array().unwrap().is_empty().then_some(())).await;
    assert_eq!((on(&service, "hang").await, on(&service, "task_leak").await), (0.0, 0.0));
    let hanging = tokio::time::timeout(Duration::from_secs(5), ann.client.read(&ann.id));
    assert_eq!(hanging.await.expect("nothing hangs").status, 200);

    put(&service, &json!([first])).await;
    put(&service, &json!([])).await;
    end(&service).await;
    let told = eventually("the lines are written", async || {
        let told = told(&service);
        (told.len() >= 6).then_some(told)
    })
    .await;
    let words: Vec<_> = told.iter().map(|(words, listed)| (words.as_str(), listed.as_array().unwrap().len())).collect();
    assert_eq!(
        words,
        [
            ("faults are injected", 1),
            ("faults are injected", 2),
            ("faults are injected", 2),
            ("faults have ended by themselves", 2),
            ("faults are injected", 1),
            ("faults were ended", 1),
        ]
    );
    assert_eq!(told[0].1, json!([first]));
}

#[tokio::test]
async fn every_fault_is_counted_from_the_start() {
    let service = Service::start().await;
    for fault in [
        "delay",
        "error",
        "hang",
        "panic",
        "task_leak",
        "memory_leak",
        "blocked_worker",
        "refused_pool",
        "unreachable_collector",
    ] {
        assert_eq!((on(&service, fault).await, met(&service, fault).await), (0.0, Some(0.0)), "{fault}");
    }
    let limit = service.metric("process_memory_limit_bytes").await.unwrap();
    assert!(limit >= service.metric("process_resident_memory_bytes").await.unwrap(), "{limit}");
}
