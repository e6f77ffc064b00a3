//! The seventeen rules of Grafana's dashboard-linter, restated, with its own file of exceptions.
//!
//! They are meant as the linter means them, and where it looks at some kinds of panel only, ours look at all.

mod exceptions;
mod panel;
mod target;
mod template;

use serde_json::{Value, json};

use self::exceptions::Exceptions;
use super::panels::{DASHBOARDS, dashboard, text};

/// Where a dashboard breaks a rule.
#[derive(Debug)]
struct Fault {
    rule: &'static str,
    /// Titles, as the linter names things.
    dashboard: String,
    panel: Option<String>,
    target: Option<usize>,
    says: String,
}

/// A name of the linter's, what finds breaches of the rule, and a change of the overview that is one.
struct Rule {
    name: &'static str,
    check: fn(&Value) -> Vec<Breach>,
    planted: fn(&mut Value),
}

/// Where, and what.
struct Breach {
    panel: Option<String>,
    target: Option<usize>,
    says: String,
}

impl Breach {
    /// Of the dashboard as a whole.
    fn here(says: impl Into<String>) -> Self {
        Self { panel: None, target: None, says: says.into() }
    }
}

/// The panel of the overview that faults are planted into: curves with two questions.
const LATENCY: u64 = 14;

/// That panel.
fn latency(dashboard: &mut Value) -> &mut Value {
    let panels = dashboard["panels"].as_array_mut().unwrap();
    panels.iter_mut().find(|panel| panel["id"] == LATENCY).unwrap()
}

/// Gives the panel another expression.
fn ask(dashboard: &mut Value, expression: &str) {
    latency(dashboard)["targets"][1]["expr"] = json!(expression);
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    [template::RULES, panel::RULES, target::RULES].into_iter().flatten()
}

/// What breaks a rule, exceptions or not.
fn faults(dashboard: &Value) -> Vec<Fault> {
    let title = text(dashboard, "title");
    let of_rule = |rule: &'static Rule| {
        (rule.check)(dashboard).into_iter().map(|Breach { panel, target, says }| {
            let says = format!("{title}: {}: {says}", panel.as_deref().unwrap_or_default());
            Fault { rule: rule.name, dashboard: title.to_owned(), panel, target, says }
        })
    };
    rules().flat_map(of_rule).collect()
}

#[test]
fn there_are_seventeen_rules() {
    assert_eq!(rules().count(), 17);
}

#[test]
fn dashboards_keep_the_rules_of_grafanas_linter() {
    let mut exceptions = Exceptions::read();
    let faults = DASHBOARDS.iter().flat_map(|name| faults(&dashboard(name)));
    let broken: Vec<_> = faults.filter(|fault| !exceptions.excuse(fault)).collect();
    let broken = broken.iter().map(|fault| format!("{}: {}", fault.rule, fault.says));
    assert_eq!(broken.collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(exceptions.unused(), Vec::<String>::new(), "exceptions that nothing needs");
}

#[test]
fn each_rule_sees_what_it_is_for() {
    for rule in rules() {
        let mut overview = dashboard("overview");
        let before = (rule.check)(&overview).len();
        (rule.planted)(&mut overview);
        assert!((rule.check)(&overview).len() > before, "{} does not see what was planted", rule.name);
    }
}
