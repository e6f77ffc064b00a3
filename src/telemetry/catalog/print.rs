//! The catalogue for people and for programs.

use serde_json::{Value, json};

use super::{FIELDS, Kind, METRICS, PATHS, SPANS, Signal, attribute};

/// As Markdown: a table for each kind of signal.
pub fn markdown() -> String {
    let mut lines = vec!["# Signals".to_owned(), String::new(), "## Metrics".to_owned(), String::new()];
    lines.extend(["| Name | Type | Labels | Help |".to_owned(), "| --- | --- | --- | --- |".to_owned()]);
    lines.extend(METRICS.iter().map(|metric| {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {} | {labels} | {} |", metric.name, metric.kind.word(), metric.help)
    }));
    lines.extend([String::new(), "## Spans".to_owned(), String::new()]);
    lines.extend(["| Name | Kind | Meaning | Attributes, the optional ones in brackets |".to_owned()]);
    lines.extend(["| --- | --- | --- | --- |".to_owned()]);
    lines.extend(SPANS.iter().map(|span| {
        let required = span.required.iter().map(|name| format!("`{name}`"));
        let optional = span.optional.iter().map(|name| format!("[`{name}`]"));
        let attributes = required.chain(optional).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {} | {} | {attributes} |", span.name, span.kind, span.meaning)
    }));
    for (title, signals) in sections() {
        lines.extend([String::new(), format!("## {title}"), String::new()]);
        lines.extend(["| Name | Meaning |".to_owned(), "| --- | --- |".to_owned()]);
        lines.extend(signals.iter().map(|signal| format!("| `{}` | {} |", signal.name, signal.meaning)));
    }
    lines.join("\n") + "\n"
}

/// As JSON: what tests and tools compare with.
pub fn json() -> Value {
    let metrics: Vec<Value> = METRICS
        .iter()
        .map(|metric| {
            let buckets = match metric.kind {
                Kind::Histogram(bounds) => json!(bounds),
                Kind::Counter | Kind::Gauge => Value::Null,
            };
            json!({
                "name": metric.name, "type": metric.kind.word(), "labels": metric.labels,
                "help": metric.help, "buckets": buckets,
            })
        })
        .collect();
    let named = |signals: &[Signal]| -> Vec<Value> {
        signals.iter().map(|signal| json!({ "name": signal.name, "meaning": signal.meaning })).collect()
    };
    let spans: Vec<Value> = SPANS
        .iter()
        .map(|span| {
            json!({
                "name": span.name, "kind": span.kind, "meaning": span.meaning,
                "required": span.required, "optional": span.optional,
            })
        })
        .collect();
    let fields: Vec<Value> = FIELDS
        .iter()
        .map(|field| json!({ "name": field.name, "attribute": attribute(field.name), "meaning": field.meaning }))
        .collect();
    json!({ "metrics": metrics, "spans": spans, "fields": fields, "paths": named(PATHS) })
}

const fn sections() -> [(&'static str, &'static [Signal]); 2] {
    [("Log fields", FIELDS), ("Paths of the internal port", PATHS)]
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}
