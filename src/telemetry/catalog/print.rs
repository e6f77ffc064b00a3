//! The catalogue for people and for programs.

use serde_json::{Value, json};

use super::{FIELDS, Kind, METRICS, PATHS, SPANS, Signal};

/// As Markdown: a table for each kind of signal.
pub fn markdown() -> String {
    let mut page =
        String::from("# Signals\n\n## Metrics\n\n| Name | Type | Labels | Help |\n| --- | --- | --- | --- |\n");
    for metric in METRICS {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        page += &format!("| `{}` | {} | {labels} | {} |\n", metric.name, metric.kind.word(), metric.help);
    }
    for (title, signals) in sections() {
        page += &format!("\n## {title}\n\n| Name | Meaning |\n| --- | --- |\n");
        for signal in signals {
            page += &format!("| `{}` | {} |\n", signal.name, signal.meaning);
        }
    }
    page
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
