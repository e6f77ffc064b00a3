//! Rules about variables, and that what is provisioned is not edited.

use serde_json::{Value, json};

use super::{Breach, Rule};
use crate::dashboards::{
    expression::parse,
    panels::{list, text},
};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "template-datasource-rule", check: datasource, planted: |it| variable(it, 0)["name"] = json!("ds") },
    Rule {
        name: "template-job-rule",
        check: |it| chosen(it, "job", "Job"),
        planted: |it| variable(it, 1)["multi"] = json!(false),
    },
    Rule {
        name: "template-instance-rule",
        check: |it| chosen(it, "instance", "Instance"),
        planted: |it| variable(it, 3)["allValue"] = json!(".*"),
    },
    Rule {
        name: "template-label-promql-rule",
        check: label_promql,
        planted: |it| variable(it, 2)["query"] = json!("label_values(up{, instance)"),
    },
    Rule {
        name: "template-on-time-change-reload-rule",
        check: reload,
        planted: |it| variable(it, 2)["refresh"] = json!(1),
    },
    Rule { name: "uneditable-dashboard", check: uneditable, planted: |it| it["editable"] = json!(true) },
];

fn variable(dashboard: &mut Value, at: usize) -> &mut Value {
    &mut dashboard["templating"]["list"][at]
}

fn variables(dashboard: &Value) -> &[Value] {
    list(&dashboard["templating"], "list")
}

/// Those that ask Prometheus.
fn queries(dashboard: &Value) -> impl Iterator<Item = &Value> {
    variables(dashboard).iter().filter(|variable| variable["type"] == "query")
}

fn datasource(dashboard: &Value) -> Vec<Breach> {
    let found: Vec<_> = variables(dashboard).iter().filter(|variable| variable["type"] == "datasource").collect();
    let good = |it: &Value| it["name"] == "datasource" && it["label"] == "Data source" && it["query"] == "prometheus";
    let good = matches!(found[..], [only] if good(only));
    if good { vec![] } else { vec![Breach::here("one variable is the data source, and is called so")] }
}

fn chosen(dashboard: &Value, name: &str, label: &str) -> Vec<Breach> {
    let Some(variable) = variables(dashboard).iter().find(|variable| variable["name"] == name) else {
        return vec![Breach::here(format!("there is no variable {name}"))];
    };
    let wanted = [
        ("type", json!("query")),
        ("label", json!(label)),
        ("multi", json!(true)),
        ("allValue", json!(".+")),
        ("datasource", json!({"type": "prometheus", "uid": "${datasource}"})),
    ];
    let wrong = wanted.into_iter().filter(|(member, wanted)| variable[member] != *wanted);
    wrong.map(|(member, wanted)| Breach::here(format!("{name}: {member} is not {wanted}"))).collect()
}

fn label_promql(dashboard: &Value) -> Vec<Breach> {
    // The metric may have commas of its own; the label has none.
    let asks = |query: &str| {
        let arguments = query.strip_prefix("label_values(")?.strip_suffix(')')?;
        let (metric, _label) = arguments.rsplit_once(", ")?;
        parse(metric, "5m").ok()
    };
    let wrong = queries(dashboard).map(|variable| text(variable, "query")).filter(|query| asks(query).is_none());
    wrong.map(|query| Breach::here(format!("{query} is no query for the values of a label"))).collect()
}

fn reload(dashboard: &Value) -> Vec<Breach> {
    let wrong = queries(dashboard).filter(|variable| variable["refresh"] != 2);
    wrong.map(|it| Breach::here(format!("{} is not asked anew with the time range", it["name"]))).collect()
}

fn uneditable(dashboard: &Value) -> Vec<Breach> {
    if dashboard["editable"] == false { vec![] } else { vec![Breach::here("what is edited there is lost")] }
}
