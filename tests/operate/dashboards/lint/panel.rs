//! Rules about panels.

use serde_json::{Value, json};

use super::{Breach, Rule, latency};
use crate::dashboards::panels::{list, panels, text};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "panel-datasource-rule",
        check: |it| {
            breaches(it, |panel| panel["datasource"]["uid"] == "${datasource}", "the variable is its data source")
        },
        planted: |it| latency(it)["datasource"]["uid"] = json!("prometheus"),
    },
    Rule {
        name: "panel-title-description-rule",
        check: |it| {
            let said = |panel: &Value| !text(panel, "title").is_empty() && !text(panel, "description").is_empty();
            breaches(it, said, "it has a title and a description")
        },
        planted: |it| latency(it)["description"] = json!(""),
    },
    Rule {
        name: "panel-units-rule",
        check: |it| {
            let known = |panel: &Value| UNITS.contains(&text(&panel["fieldConfig"]["defaults"], "unit"));
            breaches(it, known, "it has a unit that Grafana knows")
        },
        planted: |it| latency(it)["fieldConfig"]["defaults"]["unit"] = json!("seconds"),
    },
    Rule {
        name: "panel-no-targets-rule",
        check: |it| {
            // What fires is no query.
            let asks = |panel: &Value| panel["type"] == "alertlist" || !list(panel, "targets").is_empty();
            breaches(it, asks, "it asks something")
        },
        planted: |it| latency(it)["targets"] = json!([]),
    },
];

/// Of Grafana's units, those that we need.
const UNITS: &[&str] =
    &["Bps", "bool_on_off", "bytes", "cps", "dateTimeFromNow", "ops", "percentunit", "reqps", "s", "short"];

/// The panels that are not as they must be.
fn breaches(dashboard: &Value, good: impl Fn(&Value) -> bool, must: &str) -> Vec<Breach> {
    let wrong = panels(dashboard).filter(|panel| !good(panel));
    let breach = |panel| Breach { panel: Some(text(panel, "title").to_owned()), target: None, says: must.to_owned() };
    wrong.map(breach).collect()
}
