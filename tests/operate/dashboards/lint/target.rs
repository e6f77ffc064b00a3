//! Rules about what panels ask.

use std::time::Duration;

use promql_parser::parser::Expr;
use serde_json::{Value, json};

use super::{Breach, Rule, ask, latency};
use crate::dashboards::{
    expression::{Selector, parse, selectors},
    panels::{list, panels, text},
};

/// Stands for `$__rate_interval`: no range that anybody would write.
const MAGIC: &str = "8869990s";

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "target-logql-rule",
        check: |it| logs(it, |_| false, "nothing here reads LogQL, so no panel may ask Loki"),
        planted: |it| ask_loki(it, r#"count_over_time({job=~"$job"}[5m])"#),
    },
    Rule {
        name: "target-logql-auto-rule",
        check: |it| logs(it, |asked| !asked.replace("[$__auto]", "").contains('['), "a range of logs is $__auto"),
        planted: |it| ask_loki(it, r#"count_over_time({job=~"$job"}[5m])"#),
    },
    Rule {
        name: "target-promql-rule",
        check: |it| metrics(it, |parsed| parsed.as_ref().err().cloned()),
        planted: |it| ask(it, "sum(up"),
    },
    Rule {
        name: "target-rate-interval-rule",
        check: |it| each(it, |selector| !fixed(selector), "rates are over $__rate_interval"),
        planted: |it| ask(it, "rate(up[5m])"),
    },
    Rule {
        name: "target-job-rule",
        check: |it| each(it, |selector| has(selector, r#"job=~"$job""#), "it is narrowed to the chosen job"),
        planted: |it| ask(it, r#"up{instance=~"$instance"}"#),
    },
    Rule {
        name: "target-instance-rule",
        check: |it| each(it, |selector| has(selector, r#"instance=~"$instance""#), "it is narrowed to the instances"),
        planted: |it| ask(it, r#"up{job=~"$job", instance="$instance"}"#),
    },
    Rule {
        name: "target-counter-agg-rule",
        check: |it| each(it, |selector| !naked(selector), "a counter is a rate or an increase"),
        planted: |it| ask(it, "sum(glasshouse_panics_total)"),
    },
];

fn ask_loki(dashboard: &mut Value, expression: &str) {
    ask(dashboard, expression);
    latency(dashboard)["targets"][1]["datasource"]["type"] = json!("loki");
}

fn has(selector: &Selector, matcher: &str) -> bool {
    selector.matchers.iter().any(|found| found == matcher)
}

/// A rate over a range that does not follow what is shown and how often it is scraped.
fn fixed(selector: &Selector) -> bool {
    let magic = Duration::from_secs(MAGIC.trim_end_matches('s').parse().unwrap());
    selector.range.is_some_and(|(range, by)| matches!(by, "rate" | "irate" | "increase") && range != magic)
}

/// A counter as it was counted, since whenever the process started.
fn naked(selector: &Selector) -> bool {
    let counted = selector.range.is_some_and(|(_, by)| matches!(by, "rate" | "irate" | "increase"));
    selector.metric.ends_with("_total") && !counted
}

/// Breaches in the targets that ask a kind of data source.
fn targets(dashboard: &Value, of: &str, fault: impl Fn(&str) -> Option<String>) -> Vec<Breach> {
    let mut found = Vec::new();
    for panel in panels(dashboard) {
        for (at, target) in list(panel, "targets").iter().enumerate() {
            if target["datasource"]["type"] == of
                && let Some(says) = fault(text(target, "expr"))
            {
                found.push(Breach { panel: Some(text(panel, "title").to_owned()), target: Some(at), says });
            }
        }
    }
    found
}

fn logs(dashboard: &Value, good: fn(&str) -> bool, must: &str) -> Vec<Breach> {
    targets(dashboard, "loki", |asked| (!good(asked)).then(|| must.to_owned()))
}

fn metrics(dashboard: &Value, fault: impl Fn(&Result<Expr, String>) -> Option<String>) -> Vec<Breach> {
    targets(dashboard, "prometheus", |asked| fault(&parse(asked, MAGIC)).map(|says| format!("{asked}: {says}")))
}

/// Breaches in selectors. What cannot be parsed breaks another rule.
fn each(dashboard: &Value, good: fn(&Selector) -> bool, must: &str) -> Vec<Breach> {
    metrics(dashboard, |parsed| {
        let wrong = selectors(parsed.as_ref().ok()?).into_iter().find(|selector| !good(selector))?;
        Some(format!("{}: {must}", wrong.metric))
    })
}
