//! What Grafana is provisioned with: each link from one signal to another leads to a datasource that is there.

use std::collections::BTreeSet;

use glasshouse::telemetry::catalog::METRICS;
use serde_json::Value;

use super::{files, mounts, read, resolved, yaml};

const FILE: &str = "deploy/compose/grafana/datasources.yaml";

fn datasources() -> Vec<Value> {
    yaml(FILE)["datasources"].as_array().unwrap().clone()
}

fn datasource(kind: &str) -> Value {
    datasources().into_iter().find(|one| one["type"] == kind).unwrap_or_else(|| panic!("{FILE} has no {kind}"))
}

fn uids() -> BTreeSet<String> {
    datasources().iter().map(|one| one["uid"].as_str().unwrap().to_owned()).collect()
}

/// Every `datasourceUid` below a value.
fn referred(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value.as_str() {
                Some(uid) if name == "datasourceUid" => vec![uid.to_owned()],
                _ => referred(value),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(referred).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_link_between_signals_leads_to_a_datasource_that_is_there() {
    let uids = uids();
    let exemplars = referred(&datasource("prometheus")["jsonData"]["exemplarTraceIdDestinations"]);
    assert_eq!(exemplars, ["tempo"]);
    assert_eq!(referred(&datasource("loki")["jsonData"]["derivedFields"]), ["tempo"]);
    let tempo = &datasource("tempo")["jsonData"];
    for (from, to) in [("tracesToLogsV2", "loki"), ("tracesToMetrics", "prometheus"), ("tracesToProfiles", "pyroscope")]
    {
        assert_eq!(referred(&tempo[from]), [to], "{from}");
    }
    for uid in datasources().iter().flat_map(referred) {
        assert!(uids.contains(&uid), "{uid} is nobody's uid: {uids:?}");
    }
    assert_eq!(uids.len(), datasources().len(), "each has a uid of its own");
    assert_eq!(datasources().iter().filter(|one| one["isDefault"] == true).count(), 1);
}

#[test]
fn every_datasource_is_a_part_of_the_compose() {
    let compose = resolved();
    for one in datasources() {
        let url: reqwest::Url = one["url"].as_str().unwrap().parse().unwrap();
        let host = url.host_str().unwrap();
        assert!(compose["services"][host].is_object(), "{host} is nobody");
        assert_eq!(one["editable"], false, "what is changed in the browser is lost");
    }
}

#[test]
fn an_exemplar_is_called_as_the_service_calls_it_and_metrics_of_a_span_are_ours() {
    let exemplar = &datasource("prometheus")["jsonData"]["exemplarTraceIdDestinations"][0];
    let derived = &datasource("loki")["jsonData"]["derivedFields"][0];
    let exposition = read("src/telemetry/exposition/text.rs");
    let name = exemplar["name"].as_str().unwrap();
    assert!(exposition.contains(name), "no exemplar of the service has a {name}");
    assert_eq!((derived["matcherType"].as_str(), derived["matcherRegex"].as_str()), (Some("label"), Some(name)));
    let metrics = &datasource("tempo")["jsonData"]["tracesToMetrics"];
    for query in metrics["queries"].as_array().unwrap() {
        let text = query["query"].as_str().unwrap();
        assert!(METRICS.iter().any(|metric| text.contains(metric.name)), "{text}");
    }
    let request = METRICS.iter().find(|metric| metric.name == "http_server_request_duration_seconds").unwrap();
    for tag in metrics["tags"].as_array().unwrap() {
        let label = tag["value"].as_str().unwrap();
        assert!(request.labels.contains(&label), "{} has no label {label}", request.name);
    }
}

#[test]
fn the_version_of_prometheus_is_the_one_that_runs() {
    let told = datasource("prometheus")["jsonData"]["prometheusVersion"].as_str().unwrap().to_owned();
    assert_eq!(resolved()["services"]["prometheus"]["image"], format!("prom/prometheus:v{told}"));
}

#[test]
fn a_dollar_for_grafana_is_written_twice() {
    // `$x` would be looked for in the environment of Grafana, and be nothing.
    for (at, line) in (1..).zip(read(FILE).lines()).filter(|(_, line)| !line.trim_start().starts_with('#')) {
        let single = line.replace("$$", "").contains('$');
        assert!(!single, "{FILE}:{at}: {line}");
    }
}

#[test]
fn every_dashboard_is_mounted_where_the_provider_looks() {
    let (compose, provider) = (resolved(), yaml("deploy/compose/grafana/dashboards.yaml"));
    let provider = &provider["providers"][0];
    assert_eq!(provider["allowUiUpdates"], false);
    let path = provider["options"]["path"].as_str().unwrap();
    let mounts = mounts(&compose["services"]["grafana"]);
    let is_dashboard = |file: &String| {
        let json: Value = serde_json::from_str(&read(file)).unwrap_or_default();
        json["uid"].is_string() && json["panels"].is_array()
    };
    let dashboards: Vec<String> = files("dashboards", "json").into_iter().filter(is_dashboard).collect();
    assert_eq!(dashboards.len(), 6, "{dashboards:?}");
    for file in dashboards {
        let seen = file.replacen("dashboards", path, 1);
        assert!(mounts.contains(&(file.clone(), seen)), "{file} is not in {path}");
    }
    let home = &compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert_eq!(*home, format!("{path}/overview.json"));
}

#[test]
fn every_datasource_that_a_dashboard_names_is_there() {
    let uids = uids();
    for file in files("dashboards", "json") {
        let json: Value = serde_json::from_str(&read(&file)).unwrap();
        for uid in named(&json) {
            // A variable is filled from what is there, and Grafana's own need no provisioning.
            let own = uid.starts_with('$') || uid.starts_with("-- ") || uid == "grafana";
            assert!(own || uids.contains(&uid), "{file}: {uid}");
        }
    }
}

/// The uid of each `datasource` below a value.
fn named(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let here = fields.get("datasource").and_then(|datasource| datasource["uid"].as_str()).map(str::to_owned);
            here.into_iter().chain(fields.values().flat_map(named)).collect()
        }
        Value::Array(list) => list.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}
