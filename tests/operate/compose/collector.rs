//! The collector with the configuration that is shipped, between our executable and what stands where Tempo and Loki do.

use std::{collections::BTreeSet, net::SocketAddr, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    read, resolved, root,
    running::{Running, free},
    yaml,
};
use crate::{
    support::{Collector, eventually, hex},
    tool,
};

/// As many requests, each with a trace of its own.
const REQUESTS: u32 = 200;

fn otelcol(command: &str) -> Command {
    let mut program = Command::new(tool::program("otelcol"));
    program.args([command.to_owned(), format!("--config={}", root().join(FILE).display())]);
    program
}

const FILE: &str = "deploy/compose/otel-collector.yaml";

#[test]
fn the_collector_accepts_its_configuration() {
    let output = otelcol("validate").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What stands for the rest of the network is an environment away: without it the names are those of the compose.
    let (file, compose) = (read(FILE), resolved());
    for host in ["tempo", "loki"] {
        assert!(file.contains(&format!(":-http://{host}:")) && compose["services"][host].is_object(), "{host}");
    }
    // It drops nothing by choice, and refuses in time what it has no memory for.
    let pipelines = &yaml(FILE)["service"]["pipelines"];
    for signal in ["traces", "logs"] {
        assert_eq!(pipelines[signal]["processors"], json!(["memory_limiter"]), "{signal}");
    }
    let told = &compose["services"]["glasshouse"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"];
    let port = file.split("OTLP_GRPC_LISTEN:-0.0.0.0:").nth(1).unwrap().split('}').next().unwrap();
    assert_eq!(*told, format!("http://otel-collector:{port}"));
}

/// A collector on free ports, with these in the places of Tempo and Loki.
async fn collecting(tempo: &Collector, loki: &Collector) -> (Running, SocketAddr, SocketAddr) {
    let [grpc, http, health, metrics] = free();
    let (tempo, loki) = (tempo.endpoint(), loki.http_endpoint());
    let [grpc_text, http_text, health_text] = [grpc, http, health].map(|address| address.to_string());
    let port = metrics.port().to_string();
    let environment = [
        ("OTLP_GRPC_LISTEN", grpc_text.as_str()),
        ("OTLP_HTTP_LISTEN", &http_text),
        ("HEALTH_LISTEN", &health_text),
        ("METRICS_HOST", "127.0.0.1"),
        ("METRICS_PORT", &port),
        ("TEMPO_ENDPOINT", &tempo),
        ("LOKI_ENDPOINT", &loki),
    ];
    let mut program = Command::new(tool::program("otelcol"));
    program.arg(format!("--config={}", root().join(FILE).display()));
    let running = Running::start(&program, &environment);
    running.answers(&format!("http://{health}/")).await;
    (running, grpc, metrics)
}

/// Our executable with the telemetry settings of the compose, but for where it listens and exports to.
async fn serving(collector: SocketAddr, folder: &TempDir) -> (Running, SocketAddr) {
    let compose = resolved();
    let given = compose["services"]["glasshouse"]["environment"].as_object().unwrap();
    let endpoint = format!("http://{collector}");
    let mut environment: Vec<(&str, &str)> = given
        .iter()
        .filter(|(name, _)| name.starts_with("OTEL_"))
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    environment.extend([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("GLASSHOUSE_HTTP__LISTEN", "127.0.0.1:0"),
        ("GLASSHOUSE_INTERNAL__LISTEN", "127.0.0.1:0"),
        ("GLASSHOUSE_LIMITS__ENABLED", "false"),
    ]);
    let mut program = Command::new(env!("CARGO_BIN_EXE_glasshouse"));
    program.current_dir(folder.path());
    let running = Running::start(&program, &environment);
    let address: SocketAddr = eventually("it says where it listens", async || {
        let lines = running.written();
        let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["message"] == "started")?["server.address"].as_str()?.parse().ok()
    })
    .await;
    running.answers(&format!("http://{address}/health/ready")).await;
    (running, address)
}

/// The value of a family without labels, or the sum of all its series.
async fn total(metrics: SocketAddr, family: &str) -> Option<f64> {
    let text = reqwest::get(format!("http://{metrics}/metrics")).await.ok()?.text().await.ok()?;
    let series = text.lines().filter(|line| line.starts_with(family));
    Some(series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trace_and_its_line_pass_the_collector() {
    let (tempo, loki, folder) = (Collector::start().await, Collector::start().await, TempDir::new().unwrap());
    let (collector, grpc, metrics) = collecting(&tempo, &loki).await;
    let (service, address) = serving(grpc, &folder).await;

    let client = reqwest::Client::new();
    let traces: BTreeSet<String> = (1..=REQUESTS).map(|number| format!("{number:032x}")).collect();
    for trace in &traces {
        let request = client.post(format!("http://{address}/api/v1/auth/sign-in"));
        let body = json!({"email": "nobody@example.com", "password": "not a password"});
        let request = request.header("traceparent", format!("00-{trace}-00000000000000a1-01")).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }

    let missing = |found: BTreeSet<String>| traces.difference(&found).cloned().collect::<Vec<_>>();
    eventually("every trace", async || {
        let found = tempo.spans().iter().map(|span| hex(&span.trace_id)).collect();
        missing(found).is_empty().then_some(())
    })
    .await;
    eventually("the line of every trace", async || {
        let found = loki.records().iter().map(|record| hex(&record.trace_id)).collect();
        missing(found).is_empty().then_some(())
    })
    .await;
    // Statements too, and each span once.
    let spans = tempo.spans();
    assert!(spans.iter().any(|span| span.name.starts_with("SELECT")), "{:?}", spans.first());
    let ids: BTreeSet<_> = spans.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
    assert_eq!(ids.len(), spans.len());
    assert!(tempo.records().is_empty() && loki.spans().is_empty(), "each goes where it is kept");

    // What Prometheus is told of it.
    eventually("the collector counts what left it", async || {
        let sent = total(metrics, "otelcol_exporter_sent_spans").await?;
        (sent >= f64::from(REQUESTS) * 2.0).then_some(())
    })
    .await;
    assert_eq!(total(metrics, "otelcol_receiver_refused_spans").await, Some(0.0));
    drop((service, collector));
}
