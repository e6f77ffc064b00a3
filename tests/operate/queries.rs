//! Every query that operators are handed, and where it stands: rules, dashboards, runbook.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

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
    &[("$__rate_interval", "5s"), ("$__interval", "1s"), ("$__range", "1m"), ("$job", ".+"), ("$instance", ".+")];

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
    let mut rules = Vec::new();
    for (file, text) in read("alerts/rules", ".yml") {
        let parsed: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let groups = parsed["groups"].as_array().into_iter().flatten();
        for rule in groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
            let is_alert = rule["alert"].is_string();
            let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap().to_owned();
            let labels = rule["labels"].as_object().cloned().unwrap_or_default();
            let query = Query {
                place: format!("{file}: {name}"),
                text: rule["expr"].as_str().unwrap().to_owned(),
                told: after(&rule["annotations"].to_string(), "$labels."),
                added: labels.keys().cloned().collect(),
            };
            rules.push(Rule { name, is_alert, labels, query });
        }
    }
    rules
}

/// Every query that a dashboard asks by itself: of panels, in rows too, and of annotations.
pub(crate) fn dashboards() -> Vec<Query> {
    let mut queries = Vec::new();
    for (file, text) in read("dashboards", ".json") {
        let dashboard: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        if dashboard["schemaVersion"].is_null() {
            continue;
        }
        asked(&dashboard, &file, &mut queries);
    }
    queries
}

fn asked(value: &Value, place: &str, queries: &mut Vec<Query>) {
    let title = value["title"].as_str().or(value["name"].as_str());
    let place = title.map_or_else(|| place.to_owned(), |title| format!("{place}: {title}"));
    if let Some(expression) = value["expr"].as_str() {
        queries.push(Query {
            text: chosen(expression),
            told: after(value["legendFormat"].as_str().unwrap_or_default(), "{{"),
            added: BTreeSet::new(),
            place: place.clone(),
        });
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| asked(item, &place, queries)),
        Value::Object(members) => members.values().for_each(|member| asked(member, &place, queries)),
        _ => {}
    }
}

/// What variables are offered from: `label_values(metric, label)`, as the metric grouped by that label.
pub(crate) fn variables() -> Vec<Query> {
    let mut queries = Vec::new();
    for (file, text) in read("dashboards", ".json") {
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for variable in dashboard["templating"]["list"].as_array().into_iter().flatten() {
            let query = &variable["query"];
            let Some(query) = query.as_str().or(query["query"].as_str()).filter(|_| variable["type"] == "query") else {
                continue;
            };
            let offered = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (metric, label) = offered.and_then(|rest| rest.rsplit_once(',')).expect(query);
            queries.push(Query {
                place: format!("{file}: ${}", variable["name"].as_str().unwrap()),
                text: format!("group by ({}) ({})", label.trim(), chosen(metric)),
                told: BTreeSet::new(),
                added: BTreeSet::new(),
            });
        }
    }
    queries
}

/// The query as it is sent when nothing is narrowed down.
fn chosen(expression: &str) -> String {
    let chosen = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
    VARIABLES.iter().fold(expression.to_owned(), chosen)
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
fn queries_are_found_wherever_they_stand() {
    let dashboard = serde_json::json!({ "panels": [
        { "title": "Rows", "panels": [
            { "title": "Errors", "targets": [{ "expr": "rate(a{job=~\"$job\"}[$__rate_interval])", "legendFormat": "{{b}} {{ c }}" }] },
        ] },
    ]});
    let mut found = Vec::new();
    asked(&dashboard, "x.json", &mut found);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].place, "x.json: Rows: Errors");
    assert_eq!(found[0].text, "rate(a{job=~\".+\"}[5s])");
    assert_eq!(found[0].told, ["b", "c"].map(str::to_owned).into());
    assert_eq!(after("{{ $labels.job }}: {{ $labels.x_y }}", "$labels."), ["job", "x_y"].map(str::to_owned).into());
}
