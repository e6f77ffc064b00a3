//! What the service writes: one line for each request, every field in the catalogue, and never a secret.

use std::collections::BTreeSet;

use glasshouse::telemetry::catalog;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Engine, PASSWORD, Postgres, Proxy, Service, eventually, on_both_stores};

/// What ends a request; `error.*` and `user.id` only where there is something to say.
const CANONICAL: &[&str] = &[
    "client.address",
    "db.duration_seconds",
    "db.queries",
    "db.wait_seconds",
    "duration_seconds",
    "http.request.body.size",
    "http.request.method",
    "http.response.body.size",
    "http.response.status_code",
    "http.route",
    "level",
    "message",
    "request_id",
    "service.instance.id",
    "service.name",
    "service.version",
    "span_id",
    "target",
    "timestamp",
    "trace_id",
    "url.scheme",
    "user_agent.original",
];

fn fields(line: &Value) -> BTreeSet<&str> {
    line.as_object().unwrap().keys().map(String::as_str).collect()
}

on_both_stores! {
    async fn one_line_says_everything_about_a_request(engine) {
        let service = Service::start_with(engine, &[("GLASSHOUSE_HTTP__SLOW", "10m")]).await;
        let ann = service.client().joined("ann@example.com").await;
        let request = ann.client.request(Method::PATCH, &format!("/api/v1/users/{}", ann.id));
        let request = request.header("if-match", "*").header("user-agent", "a test/1.0").json(&json!({ "name": "Lee" }));
        let reply = ann.client.named("one-1", request).await;
        assert_eq!(reply.status, 200);
        let line = service.line("one-1").await;
        let mut expected: BTreeSet<_> = CANONICAL.iter().copied().collect();
        expected.insert("user.id");
        assert_eq!(fields(&line), expected);
        for (field, value) in [
            ("level", json!("INFO")),
            ("message", json!("PATCH /api/v1/users/{id} 200")),
            ("http.request.method", json!("PATCH")),
            ("http.route", json!("/api/v1/users/{id}")),
            ("http.response.status_code", json!(200)),
            ("http.request.body.size", json!(14)),
            ("http.response.body.size", json!(reply.text.len())),
            ("url.scheme", json!("http")),
            ("client.address", json!("127.0.0.1")),
            ("user_agent.original", json!("a test/1.0")),
            ("user.id", json!(ann.id)),
            ("db.queries", json!(2)),
            ("service.name", json!("glasshouse")),
        ] {
            assert_eq!(line[field], value, "{field}");
        }
        let seconds = |field: &str| line[field].as_f64().unwrap();
        assert!(seconds("db.duration_seconds") > 0.0 && seconds("duration_seconds") > seconds("db.duration_seconds"));
        chrono::DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).unwrap();

        ann.client.named("two-1", ann.client.request(Method::GET, "/api/v1/users")).await;
        let refused = service.line("two-1").await;
        assert_eq!((&refused["level"], &refused["error.type"]), (&json!("INFO"), &json!("forbidden")));
        assert_eq!((&refused["error.code"], refused.get("error.message")), (&json!("forbidden"), None));
        for id in ["one-1", "two-1"] {
            assert_eq!(service.lines().iter().filter(|line| line["request_id"] == id).count(), 1, "{id}");
        }
    }
}

#[tokio::test]
async fn a_slow_request_is_a_warning_and_a_probe_is_not_worth_a_line() {
    let settings = [("GLASSHOUSE_HTTP__SLOW", "1ms"), ("GLASSHOUSE_LOG__FILTER", "info,glasshouse=debug")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let client = service.client();
    let body = json!({ "email": "ann@example.com", "password": PASSWORD, "name": "Ann" });
    client.named("slow-1", client.request(Method::POST, "/api/v1/users").json(&body)).await;
    assert_eq!(service.line("slow-1").await["level"], "WARN");
    client.named("probe-1", client.request(Method::GET, "/health/ready")).await;
    assert_eq!(service.line("probe-1").await["level"], "DEBUG");
    service.stop().await.outcome.unwrap();

    let usual = Service::start().await;
    let client = usual.client();
    client.named("probe-2", client.request(Method::GET, "/health/live")).await;
    client.named("other-1", client.request(Method::GET, "/nowhere")).await;
    usual.line("other-1").await;
    assert!(usual.lines().iter().all(|line| line["request_id"] != "probe-2"));
}

#[tokio::test]
async fn starting_and_stopping_are_told_step_by_step() {
    let service = Service::start().await;
    let (public, internal) = (service.public.to_string(), service.internal.to_string());
    let stopped = service.stop().await;
    stopped.outcome.unwrap();
    let of_app: Vec<_> = stopped.lines.iter().filter(|line| line["target"] == "glasshouse::app").collect();
    let started = of_app.iter().find(|line| line["message"] == "started").expect("it says so");
    assert_eq!((&started["server.address"], &started["internal.address"]), (&json!(public), &json!(internal)));
    let steps: Vec<_> = of_app.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(steps, ["notice", "requests", "worker", "store"]);
    assert_eq!(of_app.last().unwrap()["message"], "stopped");
}

#[tokio::test]
async fn the_log_filter_can_be_changed_for_a_while() {
    let service = Service::start().await;
    let put = async |query: &str, filter: &str| {
        let url = format!("http://{}/debug/log{query}", service.internal);
        let request = reqwest::Client::new().put(url).header("content-type", "text/whatever").body(filter.to_owned());
        request.send().await.unwrap().status().as_u16()
    };
    let shown = async || service.internal("/debug/log").await.text().await.unwrap();
    let before = shown().await;
    for (query, filter) in [
        ("", ""),
        ("", "glasshouse=loud"),
        ("", "warning"),
        ("", "glasshouse"),
        ("?for=ever", "debug"),
        ("?level=debug", "debug"),
    ] {
        assert_eq!(put(query, filter).await, 400, "{query} {filter}");
    }
    assert_eq!(shown().await, before);

    let client = service.client();
    assert_eq!(put("?for=300ms", "info,glasshouse=debug").await, 200);
    assert!(shown().await.contains("glasshouse=debug"));
    client.named("probe-1", client.request(Method::GET, "/health/live")).await;
    assert_eq!(service.line("probe-1").await["level"], "DEBUG");
    eventually("it falls back by itself", async || (shown().await == before).then_some(())).await;
    client.named("probe-2", client.request(Method::GET, "/health/live")).await;
    client.named("last-1", client.request(Method::GET, "/nowhere")).await;
    service.line("last-1").await;
    assert!(service.lines().iter().all(|line| line["request_id"] != "probe-2"));
    let told: Vec<_> = service.lines().into_iter().filter(|line| line["log.filter"].is_string()).collect();
    assert_eq!(told.len(), 2, "the change and the falling back: {told:#?}");
}

#[tokio::test]
async fn log_filter_that_silences_is_announced_and_leaves_warnings_errors_and_the_audit_trail() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_FAULTS__ALLOWED", "true")]).await;
    let url = |path: &str| format!("http://{}{path}", service.internal);
    let http = reqwest::Client::new();
    let root = service.admin("root@example.com").await;
    let ann = service.client().joined("ann@example.com").await;
    let changed = async || service.metric("glasshouse_log_filter_changed").await.unwrap();
    assert!(changed().await < 0.5);
    for filter in ["off", "off,foo=info"] {
        assert_eq!(http.put(url("/debug/log")).body(filter).send().await.unwrap().status(), 200);
        assert!(changed().await > 0.5);
        let announced = eventually("it is announced", async || {
            service.lines().into_iter().find(|line| line["log.filter"] == filter)
        })
        .await;
        assert_eq!(announced["log.filter_for"], "30m", "a filter falls back without being asked to");
        let audited = || service.lines().iter().filter(|line| line["audit.action"].is_string()).count();
        let before = audited();
        let renamed = root.client.change(&ann.id, "*", &json!({ "name": format!("Ann {filter}") })).await;
        assert_eq!(renamed.status, 200);
        eventually("the audit trail's line is there", async || (audited() > before).then_some(())).await;
        let silent = service.client().get("/nowhere").await;
        let panic = json!([{ "fault": "panic", "route": "/api/v1/users/me" }]).to_string();
        assert_eq!(http.put(url("/debug/faults")).body(panic).send().await.unwrap().status(), 200);
        let failed = ann.client.me().await;
        assert_eq!(failed.status, 500);
        let line = service.line(failed.header("x-request-id")).await;
        assert_eq!(line["level"], "ERROR", "{line}");
        assert!(service.lines().iter().all(|line| line["request_id"] != silent.header("x-request-id")), "{filter}");
        let is_warning = |line: &Value| line["level"] == "WARN" && line["faults.on"].is_string();
        eventually("a warning is there", async || service.lines().iter().any(is_warning).then_some(())).await;
        assert_eq!(http.delete(url("/debug/faults")).send().await.unwrap().status(), 200);
    }
    let restored = http.delete(url("/debug/log")).send().await.unwrap();
    assert_eq!(restored.text().await.unwrap(), "opentelemetry=off,info\n");
    assert!(changed().await < 0.5);
    let is_restored = |line: &Value| line["message"] == "log filter restored";
    eventually("it is announced", async || service.lines().iter().any(is_restored).then_some(())).await;
    let seen = service.client().get("/nowhere").await;
    service.line(seen.header("x-request-id")).await;
}

/// What a walk through a service that is well does not meet, each with where it is proven.
const UNMET: &[&str] = &[
    // A listener that cannot accept: tests/process/open_files.rs.
    "accept.failures",
    // A worker that is stuck would be a bug: tests/profiles/stalls.rs.
    "thread.id",
    "stall.id",
    "stall.seconds",
    "code.function.name",
    "task.name",
    "task.spawned_at",
    // Dumps are of the process: tests/process/stopping.rs.
    "code.stacktrace",
    // The heap is sampled by the process and not by one of its services: tests/profiles/heap.rs.
    "heap.sampling_for",
    // It would take hundreds of megabytes: tests/clients/console.rs.
    "console.clients",
    "console.limit",
    // Exporters speak from threads of their own, which log to the process and not to one of its services:
    // tests/process/telemetry.rs.
    "otel.signal",
    "otel.rejected",
];

on_both_stores! {
    async fn every_field_is_in_the_catalogue_and_what_is_there_is_used(engine) {
        let folder = TempDir::new().unwrap();
        let direct = match engine {
            Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("later/users.db").display()),
            Engine::Postgres => Postgres::get().database().await,
        };
        let service = Service::start_on(TempDir::new().unwrap(), &direct, &[]).await;
        let ann = service.client().joined("ann@example.com").await;
        assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 200);
        service.pass(chrono::TimeDelta::seconds(61));
        assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 401);
        let named = service.client().request(reqwest::Method::GET, "/api/v1/users/me").header("user-agent", "curl/8.0");
        assert_eq!(service.client().send(named).await.status, 401);
        let url = format!("http://{}/debug/log?for=1m", service.internal);
        assert_eq!(reqwest::Client::new().put(url).body("info,glasshouse=debug").send().await.unwrap().status(), 200);
        // What was done long ago, for the sweeper of the next start: a session, a key, an act of an admin.
        service.pass(chrono::TimeDelta::days(-31));
        let root = service.admin("root@example.com").await;
        assert_eq!(root.client.change(&ann.id, "*", &json!({ "name": "Lee", "role": "admin" })).await.status, 200);
        let body = json!({ "email": "bob@example.com", "password": PASSWORD, "name": "Bob" });
        let request = root.client.request(Method::POST, "/api/v1/users").header("idempotency-key", "old");
        assert_eq!(root.client.send(request.json(&body)).await.status, 201);
        // A session of today, or the next start would take its clock for one that is far ahead.
        service.pass(chrono::TimeDelta::days(31));
        assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200);
        let mut lines = service.stop().await.lines;

        // No time to wait for a thread, so that some are refused: what fails is told with its cause.
        let narrow = [
            ("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "1"),
            ("GLASSHOUSE_SHED__MAX_WAIT", "1ms"),
            ("GLASSHOUSE_FAULTS__ALLOWED", "true"),
            ("GLASSHOUSE_AUDIT__RETENTION", "30d"),
        ];
        let service = Service::start_on(TempDir::new().unwrap(), &direct, &narrow).await;
        for swept in ["sessions", "idempotency_keys", "audit_entries"] {
            eventually("what is old is swept", async || {
                service.lines().into_iter().find(|line| line[swept].is_u64())
            }).await;
        }
        let client = service.client();
        let panic = json!([{ "fault": "panic", "route": "/api/v1/users/me" }]).to_string();
        let url = format!("http://{}/debug/faults", service.internal);
        assert_eq!(reqwest::Client::new().put(url).body(panic).send().await.unwrap().status(), 200);
        assert_eq!(client.me().await.status, 500);
        futures_util::future::join_all((0..8).map(|_| client.sign_in("ann@example.com", PASSWORD))).await;
        lines.extend(service.stop().await.lines);

        let nothing = Proxy::start(String::new()).await;
        nothing.cut();
        let url = nothing.url("postgres://nobody@localhost/nothing");
        let away = Service::started_on(TempDir::new().unwrap(), &url, &[]);
        eventually("the database's absence is told", async || {
            away.lines().into_iter().find(|line| line["retry_seconds"].is_f64())
        }).await;
        eventually("the circuit is open", async || {
            away.client().get("/health/ready").await;
            away.lines().into_iter().find(|line| line["circuit.state"].is_string())
        }).await;
        lines.extend(away.stop().await.lines);

        let seen: BTreeSet<_> = lines.iter().flat_map(fields).collect();
        let known: BTreeSet<_> = catalog::FIELDS.iter().map(|field| field.name).collect();
        let unknown: Vec<_> = seen.difference(&known).collect();
        assert!(unknown.is_empty(), "in no catalogue: {unknown:?}");
        let unmet: BTreeSet<_> = UNMET.iter().copied().collect();
        let unused: Vec<_> = known.difference(&seen).filter(|field| !unmet.contains(*field)).collect();
        assert!(unused.is_empty(), "catalogued, and never written: {unused:?}");
    }
}
