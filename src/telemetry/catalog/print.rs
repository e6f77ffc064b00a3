//! The catalogue for people and for programs.

use serde_json::{Value, json};

use super::{FIELDS, Kind, METRICS, PATHS, SPANS, Signal};

/// As Markdown: a table for each kind of signal.
pub fn markdown() -> String {
    let mut lines = vec!["# Signals".to_owned(), String::new(), "## Metrics".to_owned(), String::new()];
    lines.extend(["| Name | Type | Labels | Help |".to_owned(), "| --- | --- | --- | --- |".to_owned()]);
    lines.extend(METRICS.iter().map(|metric| {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {} | {labels} | {} |", metric.name, metric.kind.word(), metric.help)
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
    json!({ "metrics": metrics, "spans": named(SPANS), "fields": named(FIELDS), "paths": named(PATHS) })
}

const fn sections() -> [(&'static str, &'static [Signal]); 3] {
    [("Spans", SPANS), ("Log fields", FIELDS), ("Paths of the internal port", PATHS)]
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
