//! `/metrics` as the programs read it that it is written for: promtool, and both parsers of prometheus-client.

use std::{collections::BTreeMap, io::Read, process::Command};

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::json;

use crate::{
    support::{Collector, Engine, Service, hex, on_both_stores},
    tool,
};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A page as a parser understood it.
#[derive(Deserialize)]
struct Page {
    /// Type and help by name, where a counter's name is without `_total`.
    families: BTreeMap<String, (String, String)>,
    samples: BTreeMap<String, f64>,
    /// The labels of a sample's exemplar.
    exemplars: BTreeMap<String, BTreeMap<String, String>>,
}

/// Something of everything: answers of all classes, and requests that are still under way when it returns.
async fn load(service: &Service) {
    let ann = service.client().joined("ann@example.com").await;
    service.client().sign_in("ann@example.com", "wrong").await;
    service.client().register("nobody").await;
    ann.client.get("/api/v1/nowhere").await;
    ann.client.change(&ann.id, &ann.etag, &json!({ "name": "Ann \"the\\\" Lee" })).await;
    futures_util::future::join_all((0..20).map(|_| ann.client.me())).await;
}

async fn scrape(service: &Service, accept: &str, encoding: &str) -> Vec<u8> {
    let request = reqwest::Client::new().get(format!("http://{}/metrics", service.internal));
    let answer = request.header(ACCEPT, accept).header(ACCEPT_ENCODING, encoding).send().await.unwrap();
    assert_eq!(answer.headers()[CONTENT_TYPE], if accept.contains("openmetrics") { OPENMETRICS } else { TEXT });
    let zipped = answer.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(zipped.as_deref(), Some(encoding).filter(|encoding| *encoding != "identity"));
    let body = answer.bytes().await.unwrap();
    let mut page = Vec::new();
    match zipped {
        Some(_) => flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut page).unwrap(),
        None => body.as_ref().read_to_end(&mut page).unwrap(),
    };
    page
}

async fn parsed(service: &Service, accept: &str, encoding: &str) -> Page {
    let format = if accept.contains("openmetrics") { "openmetrics" } else { "text" };
    let page = scrape(service, accept, encoding).await;
    serde_json::from_value(tool::json(tool::python("openmetrics.py", &[format]), page).await).unwrap()
}

/// What moves by itself, also where nobody asks anything: each scrape asks whether the store is there, which takes a
/// connection of the pool for a moment.
fn moves(sample: &str) -> bool {
    let moving = ["tokio_", "process_", "jemalloc_", "glasshouse_scrape_", "otel_sdk_", "db_client_connections{"];
    moving.iter().any(|name| sample.starts_with(name))
}

on_both_stores! {
    async fn promtool_has_nothing_to_say_about_metrics(engine) {
        let service = Service::on(engine).await;
        let (page, ()) = tokio::join!(scrape(&service, "text/plain", "identity"), load(&service));
        let after = scrape(&service, "*/*", "identity").await;
        for page in [page, after] {
            let mut command = Command::new(tool::program("promtool"));
            command.args(["check", "metrics"]);
            let output = tool::output(command, page).await;
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_hold_the_same_zipped_or_not() {
    let service = Service::on(Engine::Sqlite).await;
    load(&service).await;
    let before = parsed(&service, "text/plain", "identity").await;
    let between = [
        parsed(&service, OPENMETRICS, "identity").await,
        parsed(&service, OPENMETRICS, "gzip").await,
        parsed(&service, "text/plain", "gzip").await,
    ];
    let after = parsed(&service, "text/plain", "identity").await;
    for mut page in between {
        // What all of it is about has a family in OpenMetrics alone.
        page.families.remove("target");
        page.samples.retain(|sample, _| !sample.starts_with("target_info"));
        assert_eq!(page.families, before.families);
        assert_eq!(page.samples.keys().collect::<Vec<_>>(), before.samples.keys().collect::<Vec<_>>());
        for (sample, value) in page.samples.iter().filter(|(sample, _)| !moves(sample)) {
            let (low, high) = (before.samples[sample], after.samples[sample]);
            assert!(low <= *value && *value <= high, "{sample}: {value} is not from {low} to {high}");
        }
    }
    assert_eq!(before.families, after.families);
    let unmoved = before.samples.keys().filter(|sample| !moves(sample)).count();
    assert!(unmoved > 500, "{unmoved} of {} samples were compared", before.samples.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_strict_parser_reads_exemplars_and_each_leads_to_a_trace() {
    let collector = Collector::start().await;
    let service = Service::observed(Engine::Sqlite, &collector, &[]).await;
    load(&service).await;
    let page = parsed(&service, OPENMETRICS, "identity").await;
    service.stop().await.outcome.unwrap();

    let spans = collector.spans();
    for family in ["http_server_request_duration_seconds_bucket", "db_client_operation_duration_seconds_bucket"] {
        assert!(page.exemplars.keys().any(|sample| sample.starts_with(family)), "{family}: {:?}", page.exemplars);
    }
    for (sample, labels) in &page.exemplars {
        let (trace, span) = (&labels["trace_id"], &labels["span_id"]);
        let known = spans.iter().any(|known| hex(&known.trace_id) == *trace && hex(&known.span_id) == *span);
        assert!(known, "{sample}: nobody received span {span} of trace {trace}");
    }
}
