//! The internal port: what it answers, to whom, and that it still does when the service itself is stuck.

use std::{io::Read, sync::mpsc};

use flate2::read::GzDecoder;
use glasshouse::telemetry::catalog;
use serde_json::{Value, json};

use crate::support::{Engine, Service, eventually};

#[tokio::test]
async fn every_path_of_the_catalogue_answers_and_no_other() {
    let service = Service::start().await;
    for path in catalog::PATHS {
        // What measures for a while is asked for the shortest.
        let query = if matches!(path.name, "/debug/pprof/profile" | "/debug/pprof/trace") { "?seconds=1" } else { "" };
        // What streams is not read to its end.
        let reply = service.internal(&format!("{}{query}", path.name)).await;
        // No test here samples the heap: tests/profiles/heap.rs does.
        let status = if matches!(path.name, "/debug/pprof/heap" | "/debug/pprof/allocs") { 503 } else { 200 };
        assert_eq!(reply.status(), status, "{}", path.name);
        assert_eq!(reply.headers()["x-content-type-options"], "nosniff");
    }
    for path in [
        "/health",
        "/health/",
        "/health/live/",
        "/metric",
        "/metrics/",
        "/debug",
        "/debug/pprof/nothing",
        "/api/v1/users",
    ] {
        assert_eq!(service.internal(path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn the_index_is_for_people_and_for_programs() {
    let service = Service::start().await;
    let page = service.internal("/").await;
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = page.text().await.unwrap();
    let json: Value = service.ask("/").header("accept", "application/json").send().await.unwrap().json().await.unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    let paths: Vec<_> = json["paths"].as_array().unwrap().iter().map(|path| path["path"].as_str().unwrap()).collect();
    assert_eq!(paths, catalog::PATHS.iter().map(|path| path.name).collect::<Vec<_>>());
    for path in paths {
        assert!(page.contains(&format!("href=\"{path}\"")), "{path}");
    }
}

#[tokio::test]
async fn a_strange_host_is_misdirected_but_may_scrape() {
    let service = Service::start().await;
    let port = service.internal.port();
    let (strange, local, literal) =
        (format!("evil.example:{port}"), format!("localhost:{port}"), format!("[::1]:{port}"));
    for (path, host, status) in [
        ("/", "evil.example", 421),
        ("/debug/config", &strange, 421),
        ("/debug/log", "", 421),
        ("/debug/config", &local, 200),
        ("/debug/config", "127.0.0.1", 200),
        ("/debug/config", &literal, 200),
        ("/metrics", "evil.example", 200),
        ("/health/ready", "evil.example", 200),
    ] {
        let reply = service.ask(path).header("host", host).send().await.unwrap();
        assert_eq!(reply.status(), status, "{path} {host}");
    }
    let foreign = service.ask("/debug/config").header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    assert_eq!(foreign.headers()["x-go-pprof"], "1", "Go's tools show the sentence");
}

#[tokio::test]
async fn metrics_come_in_the_format_and_the_coding_that_are_asked_for() {
    let service = Service::start().await;
    let text = service.internal("/metrics").await;
    assert_eq!(text.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(text.headers().get("content-encoding").is_none());
    assert!(!text.text().await.unwrap().contains("# EOF"));

    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    let request = service.ask("/metrics").header("accept", accept).header("accept-encoding", "gzip");
    let reply = request.send().await.unwrap();
    assert_eq!(reply.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(reply.headers()["content-encoding"], "gzip");
    assert_eq!(reply.headers()["vary"], "accept, accept-encoding");
    let mut page = String::new();
    GzDecoder::new(&reply.bytes().await.unwrap()[..]).read_to_string(&mut page).unwrap();
    assert!(page.ends_with("# EOF\n"));
    assert!(page.contains("# TYPE glasshouse_users_registered counter\n"));
    assert!(page.contains("\nglasshouse_users_registered_total 0.0\n"), "{page}");
    let target = page.lines().find(|line| line.starts_with("target_info{service_instance_id=\"")).unwrap();
    let rest = format!(",service_name=\"glasshouse\",service_version=\"{}\"}} 1.0", env!("CARGO_PKG_VERSION"));
    assert!(target.ends_with(&rest), "{target}");
}

#[tokio::test]
async fn settings_are_shown_with_where_they_come_from() {
    let service = Service::start().await;
    let shown: Value = service.internal("/debug/config").await.json().await.unwrap();
    assert_eq!(shown["http.slow"], json!({ "value": "250ms", "origin": "default" }));
    assert_eq!(shown["http.listen"]["value"], "127.0.0.1:0");
    let build: Value = service.internal("/debug/build").await.json().await.unwrap();
    assert_eq!(build["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn it_answers_while_the_main_runtime_is_stuck_and_says_so() {
    let settings = [("GLASSHOUSE_INTERNAL__STALL_AFTER", "200ms"), ("GLASSHOUSE_INTERNAL__STALL_LIMIT", "1s")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let holds: Vec<mpsc::Sender<()>> = (0..service.main.metrics().num_workers())
        .map(|_| {
            let (hold, let_go) = mpsc::channel();
            drop(service.main.spawn(async move { let_go.recv() }));
            hold
        })
        .collect();
    let status = async |path: &str| service.internal(path).await.status().as_u16();
    eventually("liveness fails", async || (status("/health/live").await == 503).then_some(())).await;
    assert_eq!(status("/metrics").await, 200);
    let ready = service.internal("/health/ready?verbose").await;
    assert_eq!(ready.status(), 503);
    let expected = json!({ "circuit": "ok", "http": "ok", "migrations": "ok", "store": "no answer within 1s" });
    assert_eq!(ready.json::<Value>().await.unwrap(), expected, "nobody is left to ask the store");
    let stalled = async || service.metric("tokio_runtime_stalled{runtime=\"main\"}").await;
    assert_eq!(stalled().await, Some(1.0));
    drop(holds);
    eventually("liveness is back", async || (status("/health/live").await == 200).then_some(())).await;
    eventually("the metric says so", async || (stalled().await == Some(0.0)).then_some(())).await;
    eventually("it is ready again", async || (status("/health/ready").await == 200).then_some(())).await;
}
