//! The live proof: what dashboards, rules and runbook ask is there to be had from a service that really runs.

use std::{collections::BTreeSet, time::Duration};

use glasshouse::telemetry::catalog::METRICS;
use serde_json::Value;

use crate::{
    queries::{self, Query},
    scene::{DELAY, SCENE, SLOW_STATEMENT, Scene},
    stack::within,
    support::{attribute, hex},
    vocabulary::Known,
};

/// The kind of a server's span, as OTLP writes it.
const SERVER: i32 = opentelemetry_proto::tonic::trace::v1::span::SpanKind::Server as i32;

/// How long it may take until what has happened is exported and scraped.
const LATE: Duration = Duration::from_secs(20);

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn asked() -> Vec<Query> {
    let rules = queries::rules().into_iter().map(|rule| rule.query);
    rules.chain(queries::dashboards()).chain(queries::runbook()).collect()
}

/// What is wrong with one query: what it names and nobody says, and what its texts tell of its result and is not there.
fn faults(scene: &Scene, query: &Query) -> Vec<String> {
    let reading = scene.known.read(&query.text);
    let labels = reading.labels.unwrap_or_default();
    let missing = query.told.iter().filter(|label| !labels.contains(*label) && !query.added.contains(*label));
    let missing = missing.map(|label| format!("the result has no label {label}, of which its text speaks"));
    reading.faults.into_iter().chain(missing).map(|fault| format!("{}: {fault}", query.place)).collect()
}

#[test]
fn every_metric_label_and_value_that_is_named_is_there() {
    let asked = asked();
    assert_none(&asked.iter().flat_map(|query| faults(&SCENE, query)).collect::<Vec<_>>());

    // The same queries after somebody has renamed a metric and a label.
    for (before, after) in [("http_server_request", "http_served_request"), ("http_route", "route")] {
        let named = asked.iter().find(|query| query.text.contains(before)).unwrap();
        let renamed = Query { text: named.text.replace(before, after), ..named.clone() };
        assert!(!faults(&SCENE, &renamed).is_empty(), "{renamed:?}");
    }
}

#[test]
fn every_catalogued_metric_is_shown_watched_or_asked_for() {
    let nothing = Known::default();
    let named: BTreeSet<String> = asked().iter().flat_map(|query| nothing.read(&query.text).metrics).collect();
    let is_used = |metric: &str| {
        ["", "_bucket", "_count", "_sum"].iter().any(|suffix| named.contains(&format!("{metric}{suffix}")))
    };
    let unused = METRICS.iter().filter(|metric| !is_used(metric.name));
    assert_none(&unused.map(|metric| format!("{} is used nowhere", metric.name)).collect::<Vec<_>>());
    assert!(!is_used("glasshouse_nothing_total"));
}

fn has_values(series: &Value) -> bool {
    series["values"].as_array().into_iter().flatten().any(|value| value[1] != "NaN")
}

#[test]
fn no_panel_annotation_or_variable_is_empty() {
    let scene = &*SCENE;
    let empty = scene.wait(async {
        let mut empty = Vec::new();
        for query in queries::dashboards() {
            if !scene.range(&query.text).await.iter().any(has_values) {
                empty.push(format!("{}: {}", query.place, query.text));
            }
        }
        empty
    });
    assert_none(&empty);
    assert!(!scene.wait(scene.range("0 * nothing")).iter().any(has_values), "what is not there is empty");
}

/// Each rule's name, and what went wrong when it was evaluated last.
async fn evaluated(scene: &Scene) -> Vec<(String, Option<String>)> {
    let groups = scene.stack.prometheus.api().ask("rules", &[]).await.unwrap();
    let rules = groups["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let told = |rule: &Value| {
        let complaint = (rule["health"] != "ok").then(|| format!("{} {}", rule["health"], rule["lastError"]));
        (rule["name"].as_str().unwrap().to_owned(), complaint)
    };
    rules.map(told).collect()
}

/// A rule that is in order to look at, and finds several series where one is wanted.
const PLANTED: &str = "groups: [{name: planted, rules: [{record: planted, expr: 'up * on () up'}]}]";

#[test]
fn every_rule_is_evaluated_and_what_is_recorded_has_samples() {
    let scene = &*SCENE;
    let evaluated_rules = scene.wait(evaluated(scene));
    let complaints = evaluated_rules.iter().filter_map(|(name, complaint)| Some((name, complaint.as_ref()?)));
    let mut wrong: Vec<String> = complaints.map(|(name, complaint)| format!("{name}: {complaint}")).collect();
    for rule in queries::rules() {
        if !evaluated_rules.iter().any(|(name, _)| *name == rule.name) {
            wrong.push(format!("{} is not evaluated", rule.name));
        }
        if !rule.is_alert {
            let labels: Vec<_> = rule.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let series = format!("{}{{{}}}", rule.name, labels.join(","));
            if !scene.wait(scene.range(&series)).iter().any(has_values) {
                wrong.push(format!("{series} has no sample"));
            }
        }
    }
    assert_none(&wrong);

    scene.stack.prometheus.write_rules("planted.yml", PLANTED);
    scene.wait(scene.stack.prometheus.reload());
    let seen = scene.wait(within(LATE, async || {
        let complaint = evaluated(scene).await.into_iter().find(|(name, _)| name == "planted")?.1?;
        complaint.contains("many-to-many").then_some(())
    }));
    assert!(seen.is_some(), "what cannot be evaluated is complained of");
}

/// The traces that exemplars of slow requests lead to, from the time when a statement was slow.
async fn slow_traces(scene: &Scene) -> Vec<String> {
    let asked = [
        ("query", "http_server_request_duration_seconds_bucket{http_route=\"/api/v1/users/me\"}"),
        ("start", &scene.slow.0.to_string()),
        ("end", &scene.slow.1.to_string()),
    ];
    let series = scene.stack.prometheus.api().ask("query_exemplars", &asked).await.unwrap_or_default();
    let exemplars = series.as_array().into_iter().flatten().filter_map(|series| series["exemplars"].as_array());
    let is_slow = |exemplar: &&Value| {
        let seconds = exemplar["value"].as_str().and_then(|value| value.parse::<f64>().ok());
        seconds.is_some_and(|seconds| seconds >= DELAY.as_secs_f64())
    };
    let slow = exemplars.flatten().filter(is_slow);
    slow.filter_map(|exemplar| exemplar["labels"]["trace_id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn an_exemplar_leads_to_the_statement_that_was_slow() {
    let scene = &*SCENE;
    let traces = scene.wait(slow_traces(scene));
    assert!(!traces.is_empty(), "Prometheus has an exemplar of a slow request");
    let found = scene.wait(within(LATE, async || {
        let spans = scene.collector.spans();
        let is_exported =
            |trace: &&String| spans.iter().any(|span| span.kind == SERVER && hex(&span.trace_id) == **trace);
        traces.iter().find(is_exported)
    }));
    let trace = found.unwrap_or_else(|| panic!("none of {traces:?} was exported"));
    let spans: Vec<_> = scene.collector.spans().into_iter().filter(|span| hex(&span.trace_id) == *trace).collect();
    let parents: BTreeSet<_> = spans.iter().map(|span| span.parent_span_id.clone()).collect();
    // Whoever only waits for others is as long as they are.
    let leaves = spans.iter().filter(|span| !parents.contains(&span.span_id));
    let took =
        |span: &&opentelemetry_proto::tonic::trace::v1::Span| span.end_time_unix_nano - span.start_time_unix_nano;
    let longest = leaves.max_by_key(took).expect("a trace has spans");
    let summary = attribute(&longest.attributes, "db.query.summary");
    assert_eq!(summary.as_deref(), Some(SLOW_STATEMENT), "{}", longest.name);
    assert!(Duration::from_nanos(took(&longest)) >= DELAY, "{longest:?}");
}
