//! Every query that operators are handed, and where it stands: rules, dashboards, runbook.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::dashboards::panels::{DASHBOARDS, dashboard, list, panels, text};

/// One query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The file, and what in it.
    pub(crate) place: String,
    pub(crate) text: String,
    /// The labels of the result that its texts speak of, such as `{{ $labels.job }}` in an annotation.
    pub(crate) told: BTreeSet<String>,
    /// Labels that are added to the result.
    pub(crate) added: BTreeSet<String>,
}

/// What one file's rules are: their names, and whether they are alerts.
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) is_alert: bool,
    pub(crate) labels: serde_json::Map<String, Value>,
    pub(crate) query: Query,
}

/// The variables of a dashboard, as a reader has them who has chosen nothing: everything, over a short while.
const VARIABLES: &[(&str, &str)] =
    &[("$__rate_interval", "5s"), ("$job", ".+"), ("$environment", ".*"), ("$instance", ".+")];

fn read(folder: &str, ending: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|file| file.unwrap().path())
        .filter(|file| file.to_string_lossy().ends_with(ending))
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy();
            (format!("{folder}/{name}"), fs::read_to_string(&file).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no *{ending}");
    files
}

/// Every rule, from its file.
pub(crate) fn rules() -> Vec<Rule> {
    let read = |(file, rule): (String, Value)| {
        let is_alert = rule["alert"].is_string();
        let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap().to_owned();
        let labels = rule["labels"].as_object().cloned().unwrap_or_default();
        let query = Query {
            place: format!("{file}: {name}"),
            text: rule["expr"].as_str().unwrap().to_owned(),
            told: after(&rule["annotations"].to_string(), "$labels."),
            added: labels.keys().cloned().collect(),
        };
        Rule { name, is_alert, labels, query }
    };
    crate::alerts::rules().into_iter().map(read).collect()
}

/// Every query of every panel and annotation, and what variables are offered from.
pub(crate) fn dashboards() -> Vec<Query> {
    let mut queries = Vec::new();
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        let mut add = |title: &str, query: String, legend: &str| {
            let place = format!("dashboards/{name}.json: {title}");
            queries.push(Query { place, text: query, told: after(legend, "{{"), added: BTreeSet::new() });
        };
        for panel in panels(&dashboard) {
            for target in list(panel, "targets") {
                add(text(panel, "title"), filled(text(target, "expr")), text(target, "legendFormat"));
            }
        }
        for annotation in list(&dashboard["annotations"], "list") {
            let title = text(annotation, "name");
            add(title, filled(text(&annotation["target"], "expr")), text(annotation, "titleFormat"));
        }
        for variable in list(&dashboard["templating"], "list").iter().filter(|variable| variable["type"] == "query") {
            let offered = offered(text(variable, "query"));
            add(text(variable, "name"), filled(&offered), "");
        }
    }
    queries
}

/// The expression as Prometheus is asked it. Panics if a variable is left that nobody fills in.
fn filled(expression: &str) -> String {
    let fill = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
    let filled = VARIABLES.iter().fold(expression.to_owned(), fill);
    assert!(!filled.contains('$'), "a variable that nobody fills in: {filled}");
    filled
}

/// `label_values(metric, label)` as Prometheus would be asked it: the metric, grouped by the label.
fn offered(query: &str) -> String {
    let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (metric, label) = inner.and_then(|inner| inner.rsplit_once(", ")).unwrap_or_else(|| panic!("{query}"));
    format!("group by ({label}) ({metric})")
}

/// Every query that the runbook has Prometheus asked.
pub(crate) fn runbook() -> Vec<Query> {
    let mut queries = Vec::new();
    for (file, text) in read("runbook", ".md") {
        for (at, _) in text.match_indices("promtool query ") {
            let line = text[..at].lines().count();
            let quoted = text[at..].split('\'').nth(1).unwrap_or_else(|| panic!("{file}:{line}: no query in '…'"));
            queries.push(Query {
                place: format!("{file}:{line}"),
                text: quoted.to_owned(),
                told: BTreeSet::new(),
                added: BTreeSet::new(),
            });
        }
    }
    queries
}

/// The words that follow a mark.
fn after(text: &str, mark: &str) -> BTreeSet<String> {
    let word = |rest: &str| -> String {
        rest.trim_start().chars().take_while(|char| char.is_ascii_alphanumeric() || *char == '_').collect()
    };
    text.split(mark).skip(1).map(word).filter(|word| !word.is_empty()).collect()
}

#[test]
fn what_texts_speak_of_is_found() {
    assert_eq!(after("{{ $labels.job }}: {{ $labels.x_y }}", "$labels."), ["job", "x_y"].map(str::to_owned).into());
    assert_eq!(after("{{b}} of {{ c }}", "{{"), ["b", "c"].map(str::to_owned).into());
    assert_eq!(
        offered("label_values(build_info{job=~\"a\"}, instance)"),
        "group by (instance) (build_info{job=~\"a\"})"
    );
}
