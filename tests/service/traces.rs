//! What a request leaves in traces: from the caller's span to the statement that PostgreSQL itself has logged.

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use reqwest::Method;
use serde_json::json;

use crate::support::{Collector, Engine, Postgres, Service, attribute, hex, on_both_stores};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(sampled: bool) -> String {
    format!("00-{TRACE}-{PARENT}-{:02x}", u8::from(sampled))
}

/// The spans of one trace.
fn of_trace(collector: &Collector, trace: &str) -> Vec<Span> {
    collector.spans().into_iter().filter(|span| hex(&span.trace_id) == trace).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} among {names:?}"))
}

on_both_stores! {
    async fn a_request_is_followed_from_its_caller_to_its_statement(engine) {
        let collector = Collector::start().await;
        let service = Service::observed(engine, &collector, &[("OTEL_SERVICE_NAME", "seen-through")]).await;
        let ann = service.client().joined("ann@example.com").await;
        let request = ann.client.request(Method::GET, "/api/v1/users/me");
        let reply = ann.client.send(request.header("traceparent", traceparent(true)).header("x-request-id", "walk-1")).await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("traceresponse").starts_with(&format!("00-{TRACE}-")), "{reply:?}");
        let page = reqwest::Client::new()
            .get(format!("http://{}/metrics", service.internal))
            .header("accept", "application/openmetrics-text")
            .send().await.unwrap().text().await.unwrap();
        let stopped = service.stop().await;
        stopped.outcome.unwrap();

        let spans = of_trace(&collector, TRACE);
        let server = named(&spans, "GET /api/v1/users/me");
        assert_eq!(hex(&server.parent_span_id), PARENT);
        assert_eq!(server.kind(), SpanKind::Server);
        assert_eq!(attribute(&server.attributes, "http.response.status_code").as_deref(), Some("200"));
        assert_eq!(attribute(&server.attributes, "http.request.header.x-request-id").as_deref(), Some("walk-1"));

        let statement = named(&spans, "SELECT sessions");
        assert_eq!(statement.parent_span_id, server.span_id);
        assert_eq!(statement.kind(), SpanKind::Client);
        let system = if engine == Engine::Sqlite { "sqlite" } else { "postgresql" };
        assert_eq!(attribute(&statement.attributes, "db.system.name").as_deref(), Some(system));
        assert!(attribute(&statement.attributes, "db.query.text").unwrap().contains("$1"));
        assert_eq!(attribute(&statement.attributes, "db.response.returned_rows").as_deref(), Some("1"));

        let resource = collector.resource();
        assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("seen-through"));
        assert_eq!(attribute(&resource.attributes, "service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));

        let line = stopped.lines.iter().find(|line| line["request_id"] == "walk-1").expect("its canonical line");
        assert_eq!(line["trace_id"], TRACE);
        assert_eq!(line["span_id"], hex(&server.span_id));
        let exemplar = format!("# {{trace_id=\"{TRACE}\"");
        for family in ["http_server_request_duration_seconds_bucket", "db_client_operation_duration_seconds_bucket"] {
            assert!(page.lines().any(|line| line.starts_with(family) && line.contains(&exemplar)), "{family}: {page}");
        }
    }
}

on_both_stores! {
    async fn waiting_for_a_connection_is_seen_apart_from_the_statement(engine) {
        let collector = Collector::start().await;
        let service = Service::observed(engine, &collector, &[("GLASSHOUSE_STORE__MAX_CONNECTIONS", "1")]).await;
        let ann = service.client().joined("ann@example.com").await;
        let many = (0..50).map(|_| {
            let client = ann.client.clone();
            async move { client.me().await.status }
        });
        assert!(futures_util::future::join_all(many).await.iter().all(|status| *status == 200));
        let pool = if engine == Engine::Sqlite { "sqlite" } else { "postgresql" };
        let waits = format!("db_client_connection_wait_time_seconds_count{{db_client_connection_pool_name=\"{pool}\"}}");
        let waited = service.metric(&waits).await;
        assert!(waited.is_some_and(|count| count >= 50.0), "{waited:?}");
        service.stop().await.outcome.unwrap();

        let spans = collector.spans();
        let waits = spans.iter().filter(|span| span.name == "pool wait");
        let (wait, server) = waits
            .filter_map(|wait| Some((wait, spans.iter().find(|span| span.span_id == wait.parent_span_id)?)))
            .find(|(_, parent)| parent.name == "GET /api/v1/users/me")
            .expect("a request that had to wait");
        let statement = spans.iter().find(|span| span.parent_span_id == server.span_id && span.name == "SELECT sessions");
        assert!(statement.expect("its statement").start_time_unix_nano >= wait.end_time_unix_nano);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_names_the_trace_and_the_request_that_it_comes_from() {
    let collector = Collector::start().await;
    let service = Service::observed(Engine::Sqlite, &collector, &[]).await;
    let client = service.client();
    let request = client.request(Method::GET, "/api/v1/nowhere").header("traceparent", traceparent(true));
    let reply = client.send(request.header("x-request-id", "lost-1")).await;
    assert_eq!(reply.status, 404);
    assert_eq!((reply.json["trace_id"].as_str(), reply.json["request_id"].as_str()), (Some(TRACE), Some("lost-1")));
    service.stop().await.outcome.unwrap();
    assert_eq!(named(&of_trace(&collector, TRACE), "GET").kind(), SpanKind::Server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_an_error_in_its_trace() {
    let collector = Collector::start().await;
    let service = Service::observed(Engine::Sqlite, &collector, &[]).await;
    let ann = service.client().joined("ann@example.com").await;
    let taken = service.client().register("ANN@example.com").await;
    assert_eq!(taken.status, 409);
    assert_eq!(ann.client.me().await.status, 200);
    service.stop().await.outcome.unwrap();
    let spans = collector.spans();
    let failed = spans.iter().find(|span| {
        span.name == "INSERT users" && span.status.as_ref().is_some_and(|s| s.code() == StatusCode::Error)
    });
    assert!(attribute(&failed.expect("the refused insert").attributes, "error.type").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_sampling_flag_is_not_believed_unless_the_settings_say_so() {
    for (trusted, arrives) in [("false", true), ("true", false)] {
        let collector = Collector::start().await;
        let settings = [("GLASSHOUSE_TELEMETRY__TRUST_REMOTE_SAMPLING", trusted)];
        let service = Service::observed(Engine::Sqlite, &collector, &settings).await;
        let client = service.client();
        client
            .send(client.request(Method::GET, "/.well-known/jwks.json").header("traceparent", traceparent(false)))
            .await;
        service.stop().await.outcome.unwrap();
        assert_eq!(!of_trace(&collector, TRACE).is_empty(), arrives, "trusted: {trusted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sampler_refuses_leaves_ids_and_no_span_unless_it_is_forced() {
    let collector = Collector::start().await;
    let settings =
        [("OTEL_TRACES_SAMPLER", "always_off"), ("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", "a-token-of-the-on-call")];
    let service = Service::observed(Engine::Sqlite, &collector, &settings).await;
    let client = service.client();
    let path = "/.well-known/jwks.json";
    client
        .send(client.request(Method::GET, path).header("traceparent", traceparent(true)).header("x-request-id", "off"))
        .await;
    let forced = client.request(Method::GET, path).header("x-force-trace", "a-token-of-the-on-call");
    client.send(forced.header("x-request-id", "forced")).await;
    client.send(client.request(Method::GET, path).header("x-force-trace", "a-guess")).await;
    let stopped = service.stop().await;
    let line = stopped.lines.iter().find(|line| line["request_id"] == "off").expect("its line");
    assert_eq!(line["trace_id"], TRACE);
    let spans = collector.spans();
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(attribute(&spans[0].attributes, "http.request.header.x-request-id").as_deref(), Some("forced"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ratio_keeps_whole_traces() {
    let collector = Collector::start().await;
    let settings = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
    let service = Service::observed(Engine::Sqlite, &collector, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    for _ in 0..64 {
        ann.client.me().await;
    }
    service.stop().await.outcome.unwrap();
    let spans = collector.spans();
    let walks: Vec<_> = spans.iter().filter(|span| span.name == "GET /api/v1/users/me").collect();
    assert!((1..64).contains(&walks.len()), "{}", walks.len());
    for walk in walks {
        assert!(spans.iter().any(|span| span.parent_span_id == walk.span_id), "a trace without its statement");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_spans_of_tracing_join_the_request() {
    let collector = Collector::start().await;
    let service = Service::observed(Engine::Sqlite, &collector, &[]).await;
    service.client().register("ann@example.com").await;
    service.stop().await.outcome.unwrap();
    let spans = collector.spans();
    let hashing = named(&spans, "hash password");
    assert_eq!(hashing.parent_span_id, named(&spans, "POST /api/v1/users").span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_and_logs_arrive_by_http_as_well() {
    let collector = Collector::start().await;
    let endpoint = collector.http_endpoint();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let client = service.client();
    let request = client.request(Method::GET, "/.well-known/jwks.json").header("traceparent", traceparent(true));
    client.send(request.header("x-request-id", "by-http")).await;
    service.stop().await.outcome.unwrap();
    named(&of_trace(&collector, TRACE), "GET /.well-known/jwks.json");
    let records = collector.records();
    let record = records.iter().find(|record| hex(&record.trace_id) == TRACE).expect("its log record");
    assert_eq!(attribute(&record.attributes, "glasshouse.request_id").as_deref(), Some("by-http"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_is_counted_and_harms_nobody() {
    let collector = Collector::start().await;
    collector.refuse(true);
    let settings = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
    ];
    let service = Service::observed(Engine::Sqlite, &collector, &settings).await;
    let client = service.client();
    for _ in 0..200 {
        assert_eq!(client.get("/.well-known/jwks.json").await.status, 200);
    }
    let dropped = service.metric("otel_sdk_processor_span_processed_total{error_type=\"queue_full\"}").await;
    assert!(dropped.is_some_and(|count| count > 0.0), "{dropped:?}");
    let waiting = service.metric("otel_sdk_processor_span_queue_size").await.unwrap();
    assert!(waiting <= 16.0, "{waiting}");
    let failed = crate::support::eventually("a failed export is counted", async || {
        service
            .metric("otel_sdk_exporter_span_exported_total{error_type=\"failed\"}")
            .await
            .filter(|count| *count > 0.0)
    });
    failed.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_delays_nothing_but_the_flush_and_that_only_for_its_budget() {
    // It accepts, by the kernel's grace, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    for protocol in ["grpc", "http/protobuf"] {
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "32"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
            ("GLASSHOUSE_SHUTDOWN__FLUSH", "300ms"),
        ];
        let service = Service::start_with(Engine::Sqlite, &settings).await;
        let client = service.client();
        for _ in 0..100 {
            assert_eq!(client.get("/.well-known/jwks.json").await.status, 200);
        }
        let dropped = service.metric("otel_sdk_processor_span_processed_total{error_type=\"queue_full\"}").await;
        assert!(dropped.is_some_and(|count| count > 0.0), "{protocol}: {dropped:?}");
        let asked = std::time::Instant::now();
        let stopped = service.stop().await;
        stopped.outcome.unwrap();
        // The default timeout of an export is ten seconds: whoever waited for it would be seen.
        assert!(asked.elapsed() < std::time::Duration::from_secs(5), "{protocol}: {:?}", asked.elapsed());
        let said = stopped.lines.iter().any(|line| line["step"] == "flush" && line["level"] == "WARN");
        assert!(said, "{protocol}: what did not arrive is said");
    }
}

/// One walk through every operation of the API, by a user and by an admin.
async fn walk(service: &Service) {
    let ann = service.client().joined("ann@example.com").await;
    let reply = ann.client.me().await;
    assert_eq!(reply.status, 200);
    assert_eq!(ann.client.read(&ann.id).await.status, 200);
    let etag = reply.header("etag").to_owned();
    let changed = ann.client.change(&ann.id, &etag, &json!({ "name": "Ann Lee" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let body = json!({ "email": "ann@example.com", "name": "Ann" });
    assert_eq!(ann.client.replace(&ann.id, changed.header("etag"), &body).await.status, 200);
    assert_eq!(ann.client.list("").await.status, 403);
    let password = crate::support::PASSWORD;
    assert_eq!(ann.client.change_password(&ann.id, password, "another canary").await.status, 204);
    let again = service.client().sign_in("ann@example.com", "another canary").await;
    assert_eq!(again.status, 200);
    let token = again.json["refresh_token"].as_str().unwrap();
    assert_eq!(service.client().refresh(token).await.status, 200);
    assert_eq!(service.client().refresh(token).await.status, 200, "a retry within the reuse interval");
    service.pass(chrono::TimeDelta::seconds(61));
    assert_eq!(service.client().refresh(token).await.status, 401);
    assert_eq!(service.client().register("ann@example.com").await.status, 409);
    assert_eq!(ann.client.remove(&ann.id).await.status, 204);
    let bob = service.client().joined("bob@example.com").await;
    assert_eq!(bob.client.sign_out().await.status, 204);
}

/// The text of each statement that PostgreSQL logged, by connection and in order. White space is folded, since the log
/// breaks lines its own way.
fn logged(log: &str) -> std::collections::BTreeMap<String, Vec<String>> {
    let mut connections: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    let mut newest: Option<String> = None;
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some(text) = newest.as_ref().and_then(|pid| connections.get_mut(pid)?.last_mut()) {
                text.push(' ');
                text.push_str(more);
            }
            continue;
        }
        newest = None;
        let Some((pid, message)) = line.split_once('|') else { continue };
        let Some(message) = message.strip_prefix("LOG:  ") else { continue };
        let text = match message.split_once(": ") {
            Some(("statement", text)) => text,
            Some((execute, text)) if execute.starts_with("execute ") => text,
            _ => continue,
        };
        connections.entry(pid.to_owned()).or_default().push(text.to_owned());
        newest = Some(pid.to_owned());
    }
    connections
}

/// A statement of the readiness check, which is not traced.
fn is_check(text: &str) -> bool {
    text == "SELECT 1" || text.starts_with("SELECT (SELECT count(*) FROM _sqlx_migrations")
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_that_postgres_itself_logged_is_one_span() {
    let postgres =
        Postgres::start(&[("log_statement", "all"), ("log_line_prefix", "%p|"), ("log_parameter_max_length", "0")]);
    let url = postgres.database().await;
    // Migrates, so that below no readiness check asks for tables that are not there yet: PostgreSQL does not log a
    // statement that it cannot parse.
    let migrating = Service::start_on(tempfile::TempDir::new().unwrap(), &url, &[]).await;
    migrating.stop().await.outcome.unwrap();
    let collector = Collector::start().await;
    let endpoint = collector.endpoint();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        // One connection, so that the spans' order is the connection's.
        ("GLASSHOUSE_STORE__MAX_CONNECTIONS", "1"),
    ];
    let service = Service::start_on(tempfile::TempDir::new().unwrap(), &url, &settings).await;
    walk(&service).await;
    service.stop().await.outcome.unwrap();

    let mut calls: Vec<Span> =
        collector.spans().into_iter().filter(|span| attribute(&span.attributes, "db.query.text").is_some()).collect();
    calls.sort_by_key(|span| span.start_time_unix_nano);
    let calls: Vec<String> = calls
        .iter()
        .map(|span| folded(&attribute(&span.attributes, "db.query.text").unwrap()))
        .filter(|text| !is_check(text))
        .collect();
    assert!(calls.len() > 30, "{calls:#?}");

    let connections = logged(&postgres.log());
    let ours: Vec<Vec<String>> = connections
        .into_values()
        // What a new connection is asked before its first call is part of opening it.
        .map(|statements| {
            statements
                .iter()
                .map(|text| folded(text))
                .filter(|text| !text.starts_with("SHOW ") && !is_check(text))
                .collect()
        })
        .filter(|statements: &Vec<String>| !statements.is_empty())
        .filter(|statements| statements.iter().any(|text| text.contains("INTO sessions")))
        .collect();
    assert_eq!(ours.len(), 1, "one pool of one connection");
    assert_eq!(ours[0], calls);
}
