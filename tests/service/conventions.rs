//! What arrives at a collector, held against the registry that `glasshouse signals --format weaver` prints: every span,
//! log record and resource has only attributes of OpenTelemetry or of our own namespace, with the types that these have.
//! The same as `weaver registry live-check` would say, without weaver.

use std::collections::{BTreeMap, BTreeSet};

use glasshouse::telemetry::catalog::{self, NAMESPACE, SPANS, registered};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    trace::v1::{Span, span::SpanKind},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Collector, Engine, Service, attribute, on_both_stores};

/// Attributes with their types, as the registry has them.
struct Registry {
    types: BTreeMap<String, String>,
    groups: Vec<Value>,
}

impl Registry {
    fn read() -> Self {
        let printed: Value = serde_saphyr::from_str(&catalog::weaver()).unwrap();
        let groups = printed["groups"].as_array().unwrap().clone();
        let own = groups.iter().flat_map(|group| list(&group["attributes"])).filter(|one| one["id"].is_string());
        let types = own.map(|one| (text(&one["id"]), text(&one["type"]))).collect();
        Self { types, groups }
    }

    /// The type of an attribute, from our own groups or from OpenTelemetry's.
    fn type_of(&self, name: &str) -> Option<String> {
        self.types.get(name).cloned().or_else(|| registered(name).map(|value| value.to_string()))
    }

    /// What is wrong with attributes of that place.
    fn faults<'a>(&'a self, place: &'a str, attributes: &'a [KeyValue]) -> impl Iterator<Item = String> + 'a {
        attributes.iter().filter_map(move |one| {
            let found = type_of(one.value.as_ref());
            match self.type_of(&one.key) {
                None => Some(format!("{place}: {} is in no registry", one.key)),
                Some(_) if found == "empty" => Some(format!("{place}: {} is empty", one.key)),
                Some(wanted) if wanted != found => Some(format!("{place}: {} is {found}, not {wanted}", one.key)),
                Some(_) => None,
            }
        })
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn type_of(value: Option<&AnyValue>) -> &'static str {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) if text.is_empty() => "empty",
        Some(Any::StringValue(_)) => "string",
        Some(Any::IntValue(_)) => "int",
        Some(Any::DoubleValue(_)) => "double",
        Some(Any::BoolValue(_)) => "boolean",
        Some(Any::ArrayValue(_)) => "string[]",
        _ => "something else",
    }
}

/// What is wrong with a span, by the catalogue.
fn span_faults(span: &Span) -> Vec<String> {
    let kind = match span.kind() {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        _ => "internal",
    };
    let known = SPANS.iter().find(|known| known.kind == kind && (kind != "internal" || known.name == span.name));
    let Some(known) = known else { return vec![format!("{}: no span of the catalogue", span.name)] };
    let has: BTreeSet<&str> = span.attributes.iter().map(|one| one.key.as_str()).collect();
    let missing = known.required.iter().filter(|name| !has.contains(*name));
    let mut faults: Vec<_> = missing.map(|name| format!("{}: {name} is missing", span.name)).collect();
    let listed = |name: &&&str| known.required.contains(*name) || known.optional.contains(*name);
    faults.extend(has.iter().filter(|name| !listed(name)).map(|name| format!("{}: {name} is not listed", span.name)));
    faults
}

#[test]
fn weaver_registry_defines_only_our_namespace_and_refers_to_what_is_defined() {
    let registry = Registry::read();
    assert!(registry.types.len() > 30, "{:?}", registry.types.keys());
    for (name, kind) in &registry.types {
        assert!(name.starts_with(NAMESPACE), "{name} is not ours");
        assert!(["string", "string[]", "int", "double", "boolean"].contains(&kind.as_str()), "{name}: {kind}");
    }
    let mut ids = BTreeSet::new();
    for group in &registry.groups {
        assert!(ids.insert(text(&group["id"])), "{} is defined twice", group["id"]);
        for one in list(&group["attributes"]).filter(|one| one["ref"].is_string()) {
            let name = text(&one["ref"]);
            let known = registry.type_of(&name).is_some() || name == "http.request.header";
            assert!(known, "{}: {name} is defined nowhere", group["id"]);
        }
    }
    for metric in catalog::METRICS {
        let of = |group: &&Value| group["annotations"]["prometheus"] == metric.name;
        // OpenTelemetry's own registry defines the others.
        let is_ours = catalog::otlp_metric(metric).0.starts_with(NAMESPACE);
        assert_eq!(registry.groups.iter().filter(of).count(), usize::from(is_ours), "{}", metric.name);
    }
}

on_both_stores! {
    async fn exported_telemetry_keeps_to_the_registry(engine) {
        let collector = Collector::start().await;
        let settings = [
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("GLASSHOUSE_FAULTS__ALLOWED", "true"),
            ("GLASSHOUSE_LOG__FILTER", "glasshouse=debug"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ];
        let service = Service::observed(engine, &collector, &settings).await;
        let client = service.client();
        let ann = client.joined("ann@example.com").await;
        let root = service.admin("root@example.com").await;
        assert_eq!(client.register("ann@example.com").await.status, 409);
        assert_eq!(ann.client.me().await.status, 200);
        let change = ann.client.request(Method::PATCH, &format!("/api/v1/users/{}", ann.id)).header("if-match", "*");
        assert_eq!(ann.client.send(change.json(&json!({ "name": "Ann B" }))).await.status, 200);
        assert_eq!(root.client.list("").await.status, 200);
        assert_eq!(client.get("/ann@example.com").await.status, 404);
        assert_eq!(client.get("/health/ready").await.status, 200);
        let brew = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(client.send(client.request(brew, "/api/v1/users")).await.status, 405);
        let fault = json!([{ "fault": "error", "route": "/api/v1/users/me" }]);
        let put = reqwest::Client::new().put(format!("http://{}/debug/faults?for=1m", service.internal)).json(&fault);
        assert!(put.send().await.unwrap().status().is_success());
        assert_eq!(ann.client.me().await.status, 500);
        service.stop().await.outcome.unwrap();

        let (registry, spans, records) = (Registry::read(), collector.spans(), collector.records());
        assert!(spans.len() > 10 && records.len() > 10, "{} spans, {} records", spans.len(), records.len());
        let mut faults: BTreeSet<String> = registry.faults("resource", &collector.resource().attributes).collect();
        for span in &spans {
            faults.extend(span_faults(span));
            faults.extend(registry.faults(&span.name, &span.attributes));
        }
        for record in &records {
            faults.extend(registry.faults("log record", &record.attributes));
        }
        assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));

        let server = |name: &str| spans.iter().find(|span| span.kind() == SpanKind::Server && span.name == name);
        let other = server("HTTP /api/v1/users").or_else(|| server("HTTP")).expect("an unknown method is called HTTP");
        assert_eq!(attribute(&other.attributes, "http.request.method_original").as_deref(), Some("BREW"));
        let unmatched = server("GET").expect("a path without a route");
        assert_eq!(attribute(&unmatched.attributes, "url.path").as_deref(), Some("/REDACTED"));
        assert_eq!(attribute(&unmatched.attributes, "error.type"), None, "a 4xx is the client's failure");
        assert!(collector.schema_urls().iter().all(|url| url.starts_with("https://opentelemetry.io/schemas/")));
        let scopes = collector.scopes();
        assert!(scopes.iter().all(|(_, version)| !version.is_empty()), "{scopes:?}");
    }
}

#[tokio::test]
async fn started_line_names_the_database_as_spans_do() {
    let service = Service::start_with(Engine::Postgres, &[]).await;
    let line = service.lines().into_iter().find(|line| line["message"] == "started").expect("the line of the start");
    assert_eq!(line["db.system.name"], "postgresql");
}
