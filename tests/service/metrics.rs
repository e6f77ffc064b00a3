//! What the service counts and measures, and that the catalogue says all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use glasshouse::telemetry::catalog::{self, Kind};
use reqwest::Method;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Collector, Engine, PASSWORD, Service, Session, eventually, on_both_stores};

/// The page in one of its formats.
async fn page(service: &Service, accept: &str) -> String {
    service.ask("/metrics").header("accept", accept).send().await.unwrap().text().await.unwrap()
}

const TEXT: &str = "text/plain";
const OPENMETRICS: &str = "application/openmetrics-text";

/// Each family of a page with its type.
fn families(page: &str) -> BTreeMap<String, String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    lines.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// The name and the labels of a sample; exemplars are cut off.
fn sample(line: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let line = line.split(" # ").next()?;
    let (series, _) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let Some((name, labels)) = series.split_once('{') else { return Some((series, Vec::new())) };
    let pairs = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
    Some((name, pairs.map(|(label, value)| (label, value.trim_end_matches('"'))).collect()))
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

#[test]
fn the_catalogue_is_the_one_that_others_build_on() {
    let lines = catalog::METRICS.iter().map(|metric| {
        let labels = metric.labels.join(",");
        format!("{} {} {}", metric.name, word(metric.kind), labels).trim_end().to_owned()
    });
    let written = lines.collect::<Vec<_>>().join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.txt");
    #[expect(clippy::disallowed_methods, reason = "a switch of the test, not a setting of the service")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        fs::write(&path, &written).unwrap();
    }
    let kept = fs::read_to_string(&path).expect("tests/golden/metrics.txt is there");
    assert!(kept == written, "tests/golden/metrics.txt is not what the program says; UPDATE_GOLDEN=1 writes it anew");
}

on_both_stores! {
    async fn every_catalogued_family_is_there_after_one_request_and_no_other(engine) {
        let service = Service::on(engine).await;
        // Histograms of a route begin with its first request; every other family is there before.
        let early = families(&page(&service, TEXT).await);
        service.client().joined("ann@example.com").await;
        let catalogued = catalog::json();
        let catalogued: BTreeMap<_, _> = catalogued["metrics"].as_array().unwrap().iter().map(|metric| {
            (metric["name"].as_str().unwrap().to_owned(), metric["type"].as_str().unwrap().to_owned())
        }).collect();
        let late: BTreeSet<_> = catalogued.keys().filter(|name| !early.contains_key(*name)).collect();
        let of_routes = [
            "glasshouse_request_db_queries",
            "http_server_request_body_size_bytes",
            "http_server_request_duration_seconds",
            "http_server_response_body_size_bytes",
        ];
        assert!(late.iter().all(|name| of_routes.contains(&name.as_str())), "{late:?}");
        eventually("every family", async || {
            let live = families(&page(&service, TEXT).await);
            assert!(live.iter().all(|family| catalogued.get(family.0) == Some(family.1)), "{live:?}");
            (live.len() == catalogued.len()).then_some(())
        })
        .await;
    }
}

on_both_stores! {
    async fn every_series_has_the_labels_of_the_catalogue_and_bounds_that_are_no_integers(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        assert_eq!(ann.client.remove(&ann.id).await.status, 204);
        let of = |name: &str| {
            let suffixes = ["", "_bucket", "_sum", "_count"];
            let found = catalog::METRICS.iter().find(|metric| {
                suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(metric.name))
            });
            *found.unwrap_or_else(|| panic!("{name} is in no catalogue"))
        };
        let mut bounds = Vec::new();
        for accept in [TEXT, OPENMETRICS] {
            let page = page(&service, accept).await;
            let mut seen = BTreeSet::new();
            // Says whose numbers these are, and is none of them.
            for (name, labels) in page.lines().filter_map(sample).filter(|(name, _)| *name != "target_info") {
                let bound = labels.iter().find(|(label, _)| *label == "le").map(|(_, bound)| *bound);
                let names: BTreeSet<_> = labels.iter().map(|(label, _)| *label).filter(|label| *label != "le").collect();
                assert_eq!(names, of(name).labels.iter().copied().collect(), "{name}");
                if let Some(bound) = bound {
                    assert!(bound == "+Inf" || bound.contains(['.', 'e']), "{name}: le=\"{bound}\"");
                    seen.insert((name.to_owned(), bound.to_owned()));
                }
            }
            bounds.push(seen);
        }
        assert_eq!(bounds[0], bounds[1], "one bound is written in one way");
    }
}

#[tokio::test]
async fn each_request_counts_under_its_route_its_status_and_its_error() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let red = |method: &str, route: &str, status: u16, error: &str| {
        format!(
            "http_server_request_duration_seconds_count{{error_type=\"{error}\",http_request_method=\"{method}\",\
             http_response_status_code=\"{status}\",http_route=\"{route}\",url_scheme=\"http\"}}"
        )
    };
    let id = format!("/api/v1/users/{}", ann.id);
    let brew = Method::from_bytes(b"BREW").unwrap();
    for (method, path, label, route, status, error) in [
        // OpenTelemetry has no error type for 4xx: they are the client's failures.
        (Method::GET, id.as_str(), "GET", "/api/v1/users/{id}", 200, ""),
        (Method::GET, "/api/v1/users/me?secret=1", "GET", "/api/v1/users/me", 422, ""),
        (Method::GET, "/api/v1/users", "GET", "/api/v1/users", 403, ""),
        (Method::PATCH, &id, "PATCH", "/api/v1/users/{id}", 415, ""),
        (Method::GET, "/ann@example.com", "GET", "_unmatched", 404, ""),
        (brew, "/api/v1/users", "_OTHER", "/api/v1/users", 405, ""),
    ] {
        let series = red(label, route, status, error);
        let before = service.metric(&series).await.unwrap_or_default();
        let reply = ann.client.send(ann.client.request(method, path)).await;
        assert_eq!(reply.status, status);
        eventually(&series, async || (service.metric(&series).await? - before > 0.5).then_some(())).await;
    }
    let probes = page(&service, TEXT).await;
    assert_eq!(service.client().get("/health/ready").await.status, 200);
    assert!(!probes.contains("http_route=\"/health"), "probes are no requests");
    // What has not failed yet is there at zero, so that its first failure is an increase.
    let failures = "glasshouse_request_failures_total{error_type=\"internal\",http_request_method=\"POST\",\
                    http_route=\"/api/v1/users\"}";
    assert_eq!(service.metric(failures).await, Some(0.0));
}

#[tokio::test]
async fn bodies_are_measured_both_ways() {
    let service = Service::start().await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD, "name": "Ann" }).to_string();
    let request = service.client().request(Method::POST, "/api/v1/users").header("content-type", "application/json");
    let reply = service.client().send(request.body(body.clone())).await;
    let labels = "{http_request_method=\"POST\",http_route=\"/api/v1/users\"}";
    for (direction, length) in [("request", body.len()), ("response", reply.text.len())] {
        let series = format!("http_server_{direction}_body_size_bytes_sum{labels}");
        eventually(&series, async || {
            let sum = service.metric(&series).await?;
            (sum > 0.0).then(|| assert_eq!(format!("{sum}"), length.to_string()))
        })
        .await;
    }
}

/// A service that hashes one password at a time, with somebody who has signed in, and so many sign-ins under way that
/// the next password has to wait.
async fn busy() -> (Service, Session, tokio::task::JoinSet<()>) {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "1")]).await;
    let ann = service.client().joined("ann@example.com").await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let client = service.client();
        waiting.spawn(async move { drop(client.sign_in("nobody@example.com", "a wrong password").await) });
    }
    eventually("passwords wait", async || {
        let waiting = service.metric("glasshouse_concurrency_waiting{class=\"passwords\"}").await?;
        (waiting > 25.0 && service.metric("glasshouse_password_hashes_waiting").await? > 0.5).then_some(())
    })
    .await;
    (service, ann, waiting)
}

async fn active(service: &Service, method: &str) -> f64 {
    let series = format!("http_server_active_requests{{http_request_method=\"{method}\",url_scheme=\"http\"}}");
    service.metric(&series).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_in_flight_until_it_is_answered() {
    let (service, _, waiting) = busy().await;
    assert!(active(&service, "POST").await > 0.5);
    waiting.join_all().await;
    eventually("nothing is in flight", async || (active(&service, "POST").await < 0.5).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_is_counted_as_499() {
    let (service, ann, waiting) = busy().await;
    let body = json!({ "old_password": PASSWORD, "new_password": "another canary" }).to_string();
    let head = format!(
        "PUT /api/v1/users/{}/password HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nx-request-id: gone-1\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        ann.id,
        ann.access_token,
        body.len()
    );
    let mut stream = TcpStream::connect(service.public).await.unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    eventually("it is under way", async || (active(&service, "PUT").await > 0.5).then_some(())).await;
    drop(stream);
    let line = service.line("gone-1").await;
    assert_eq!((line["http.response.status_code"].as_u64(), line["level"].as_str()), (Some(499), Some("INFO")));
    assert_eq!(line["error.type"], "client_disconnected");
    let series = "http_server_request_duration_seconds_count{error_type=\"client_disconnected\",\
                  http_request_method=\"PUT\",http_response_status_code=\"499\",\
                  http_route=\"/api/v1/users/{id}/password\",url_scheme=\"http\"}";
    assert_eq!(service.metric(series).await, Some(1.0));
    assert!(active(&service, "PUT").await < 0.5);
    waiting.join_all().await;
    assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200, "nothing was changed");
}

#[tokio::test]
async fn objective_counts_failures_of_the_service_as_bad_from_zero() {
    let settings = [("GLASSHOUSE_FAULTS__ALLOWED", "true"), ("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "127.0.0.1")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let count = async |availability: &str| {
        service
            .metric(&format!("glasshouse_slo_request_duration_seconds_count{{availability=\"{availability}\"}}"))
            .await
    };
    assert_eq!((count("good").await, count("bad").await), (Some(0.0), Some(0.0)), "before the first request");
    let client = service.client();
    let me = || client.request(Method::GET, "/api/v1/users/me").header("x-forwarded-proto", "https");
    assert_eq!(client.get("/nowhere").await.status, 404);
    let inject = async |fault: &str| {
        let put = reqwest::Client::new().put(format!("http://{}/debug/faults?for=1m", service.internal));
        assert!(put.body(fault.to_owned()).send().await.unwrap().status().is_success(), "{fault}");
    };
    inject(r#"[{"fault": "error", "route": "/api/v1/users/me"}]"#).await;
    assert_eq!(client.send(me()).await.status, 500);
    inject(r#"[{"fault": "hang", "route": "/api/v1/users/me"}]"#).await;
    assert_eq!(client.send(me().header("x-request-timeout", "0.05")).await.status, 504);
    eventually("the client's own deadline is good, the error is bad", async || {
        (count("good").await == Some(2.0) && count("bad").await == Some(1.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_family_grows_no_further_than_its_cap() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_TELEMETRY__MAX_SERIES", "10")]).await;
    let overflow = "glasshouse_metric_series_overflow_total{family=\"http_server_request_duration_seconds\"}";
    let before = service.metric(overflow).await.unwrap();
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        for path in ["/nowhere", "/api/v1/users/me", "/api/v1/audit"] {
            service.client().send(service.client().request(method.clone(), path)).await;
        }
    }
    let folded = "http_server_request_duration_seconds_count{error_type=\"_overflow\",\
                  http_request_method=\"_overflow\",http_response_status_code=\"_overflow\",http_route=\"_overflow\",\
                  url_scheme=\"_overflow\"}";
    eventually(folded, async || service.metric(folded).await.filter(|count| *count > 0.5)).await;
    assert!(service.metric(overflow).await.unwrap() > before);
    let series = service.metric("glasshouse_metric_series{family=\"http_server_request_duration_seconds\"}").await;
    assert_eq!(series, Some(11.0), "ten, and the one that they fold into");
}

#[tokio::test]
async fn processor_time_has_fractions() {
    let service = Service::start().await;
    eventually("a fraction of a second", async || {
        let seconds = service.metric("process_cpu_seconds_total").await?;
        (seconds > 0.0 && seconds.fract() > 0.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_sampled_trace_is_an_example() {
    for (sampler, sampled) in [("always_on", true), ("always_off", false)] {
        let collector = Collector::start().await;
        let service = Service::observed(Engine::Sqlite, &collector, &[("OTEL_TRACES_SAMPLER", sampler)]).await;
        service.client().joined("ann@example.com").await;
        let page = page(&service, OPENMETRICS).await;
        assert!(page.ends_with("# EOF\n"));
        let examples: Vec<_> = page.lines().filter(|line| line.contains(" # {trace_id=\"")).collect();
        assert_eq!(!examples.is_empty(), sampled, "{examples:?}");
        assert!(examples.iter().all(|line| line.contains("_bucket{")), "{examples:?}");
        assert!(!self::page(&service, TEXT).await.contains("trace_id"));
    }
}

#[tokio::test]
async fn what_the_service_does_is_counted() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 200);
    assert_eq!(service.client().sign_in("ann@example.com", "a wrong password").await.status, 401);
    assert_eq!(service.client().as_bearer("garbage").me().await.status, 401);
    for (series, value) in [
        ("glasshouse_users_registered_total", 1.0),
        ("glasshouse_sign_ins_total{outcome=\"success\"}", 1.0),
        ("glasshouse_sign_ins_total{outcome=\"credentials_wrong\"}", 1.0),
        ("glasshouse_sign_ins_total{outcome=\"failed\"}", 0.0),
        ("glasshouse_tokens_issued_total{grant=\"sign_in\"}", 1.0),
        ("glasshouse_tokens_issued_total{grant=\"refresh\"}", 1.0),
        ("glasshouse_tokens_issued_total{grant=\"refresh_retry\"}", 0.0),
        ("glasshouse_token_rejections_total{reason=\"token_malformed\"}", 1.0),
        ("glasshouse_token_rejections_total{reason=\"token_expired\"}", 0.0),
        ("glasshouse_password_hash_duration_seconds_count", 3.0),
        ("glasshouse_ready{check=\"store\"}", 1.0),
        ("glasshouse_ready{check=\"http\"}", 1.0),
        ("glasshouse_ready{check=\"migrations\"}", 1.0),
        ("glasshouse_ready{check=\"circuit\"}", 1.0),
        ("glasshouse_circuit_state{circuit=\"store\",state=\"closed\"}", 1.0),
        ("glasshouse_circuit_state{circuit=\"store\",state=\"open\"}", 0.0),
        ("glasshouse_circuit_refusals_total{circuit=\"store\"}", 0.0),
        ("glasshouse_store_retries_total{outcome=\"tried\"}", 0.0),
        ("glasshouse_store_retries_total{outcome=\"over_budget\"}", 0.0),
        ("tokio_runtime_stalled{runtime=\"main\"}", 0.0),
        ("tokio_runtime_stalls_total{runtime=\"main\"}", 0.0),
        ("tokio_runtime_stalls_uncaptured_total{runtime=\"main\"}", 0.0),
        ("tokio_runtime_workers{runtime=\"main\"}", 2.0),
    ] {
        assert_eq!(service.metric(series).await, Some(value), "{series}");
    }
}
