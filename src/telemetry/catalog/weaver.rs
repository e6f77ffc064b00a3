//! The catalogue as a registry of OpenTelemetry's weaver: what live output can be checked against.
//! <https://github.com/open-telemetry/weaver/blob/main/schemas/semconv-syntax.md>

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    FIELDS, Kind, METRICS, Metric, SPANS,
    attributes::{NAMESPACE, OF_SPANS, ValueType, attribute, field_type, registered},
    names::{is_standard, otlp_attribute, otlp_metric},
};

/// The registry, as one file of YAML. What it refers to is defined by OpenTelemetry's own registry.
pub fn weaver() -> String {
    let mut yaml = String::from("groups:\n");
    own_attributes(&mut yaml);
    for span in SPANS {
        begin(&mut yaml, &format!("span.{NAMESPACE}{}", span.id), "span", span.meaning);
        line(&mut yaml, 4, format_args!("span_kind: {}", span.kind));
        line(&mut yaml, 4, format_args!("name: {:?}", span.name));
        let required = span.required.iter().map(|name| (*name, "required"));
        let optional = span.optional.iter().map(|name| (*name, "recommended"));
        references(&mut yaml, required.chain(optional));
    }
    begin(&mut yaml, &format!("{NAMESPACE}log_record"), "attribute_group", "What log records carry");
    let fields: Vec<_> = FIELDS.iter().filter(|field| !IN_RECORD.contains(&field.name)).collect();
    let names: Vec<_> = fields.iter().map(|field| attribute(field.name)).collect();
    references(&mut yaml, names.iter().map(|name| (&**name, "recommended")));
    for metric in METRICS.iter().filter(|metric| !is_standard(metric)) {
        write_metric(&mut yaml, metric);
    }
    yaml
}

/// Fields of a line that a log record has as fields of its own, or its resource as attributes.
const IN_RECORD: &[&str] =
    &["timestamp", "level", "target", "message", "service.name", "service.version", "trace_id", "span_id"];

/// The group that defines every attribute of the namespace.
fn own_attributes(yaml: &mut String) {
    let mut own: BTreeMap<String, (ValueType, &str)> = BTreeMap::new();
    for (name, value, meaning) in OF_SPANS {
        own.insert(format!("{NAMESPACE}{name}"), (*value, meaning));
    }
    for field in FIELDS.iter().filter(|field| !IN_RECORD.contains(&field.name)) {
        let name = attribute(field.name);
        if name.starts_with(NAMESPACE) {
            own.insert(name.into_owned(), (field_type(field.name), field.meaning));
        }
    }
    for label in METRICS.iter().flat_map(|metric| metric.labels) {
        let name = otlp_attribute(label);
        if registered(&name).is_none() {
            own.entry(name.into_owned()).or_insert((ValueType::String, "A label of metrics"));
        }
    }
    begin(yaml, &format!("registry.{}", NAMESPACE.trim_end_matches('.')), "attribute_group", "Attributes of our own");
    line(yaml, 4, format_args!("attributes:"));
    for (name, (value, meaning)) in own {
        line(yaml, 6, format_args!("- id: {name}"));
        line(yaml, 8, format_args!("type: {value}"));
        line(yaml, 8, format_args!("stability: development"));
        line(yaml, 8, format_args!("brief: {meaning:?}"));
    }
}

fn write_metric(yaml: &mut String, metric: &Metric) {
    let instrument = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let (name, unit) = otlp_metric(metric);
    begin(yaml, &format!("metric.{name}"), "metric", metric.help);
    line(yaml, 4, format_args!("metric_name: {name}"));
    line(yaml, 4, format_args!("instrument: {instrument}"));
    line(yaml, 4, format_args!("unit: {unit:?}"));
    line(yaml, 4, format_args!("annotations: {{ prometheus: {} }}", metric.name));
    let labels: Vec<_> = metric.labels.iter().map(|label| otlp_attribute(label)).collect();
    references(yaml, labels.iter().map(|label| (&**label, "required")));
}

fn begin(yaml: &mut String, id: &str, kind: &str, brief: &str) {
    line(yaml, 2, format_args!("- id: {id}"));
    line(yaml, 4, format_args!("type: {kind}"));
    line(yaml, 4, format_args!("stability: development"));
    line(yaml, 4, format_args!("brief: {brief:?}"));
}

fn references<'a>(yaml: &mut String, attributes: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut attributes = attributes.peekable();
    if attributes.peek().is_some() {
        line(yaml, 4, format_args!("attributes:"));
    }
    for (name, requirement) in attributes {
        // A header is one of OpenTelemetry's template of headers.
        let name = if name.starts_with("http.request.header.") { "http.request.header" } else { name };
        line(yaml, 6, format_args!("- ref: {name}"));
        line(yaml, 8, format_args!("requirement_level: {requirement}"));
    }
}

fn line(yaml: &mut String, indent: usize, text: std::fmt::Arguments<'_>) {
    writeln!(yaml, "{:indent$}{text}", "").expect("a string takes any text");
}
