//! Alerts: that each can fire and leads somewhere, who hears of it, and that its numbers are those of the objectives.

mod complete;
mod environments;
mod mutants;
mod mutation;
mod routes;
mod slo;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// One rule that alerts.
struct Alert {
    name: String,
    rule: Value,
}

impl Alert {
    fn label(&self, name: &str) -> Option<&str> {
        self.rule["labels"][name].as_str()
    }

    fn annotation(&self, name: &str) -> &str {
        self.rule["annotations"][name].as_str().unwrap_or_default()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts")
}

/// A file of YAML or JSON below `alerts/`.
fn read(file: &str) -> Value {
    let text = fs::read_to_string(folder().join(file)).unwrap_or_else(|error| panic!("alerts/{file}: {error}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("alerts/{file}: {error}"))
}

/// The files in a folder below `alerts/`, by their names without the ending.
fn files(within: &str, ending: &str) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder().join(within)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned(), path.clone())))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "alerts/{within} has no *{ending}");
    files
}

/// The members of a list; none where there is no list.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Every rule with the path of its file, in the order of the files.
pub(crate) fn rules() -> Vec<(String, Value)> {
    let mut rules = Vec::new();
    for (group, _) in files("rules", ".yml") {
        let name = format!("rules/{group}.yml");
        let file = read(&name);
        let found = list(&file["groups"]).flat_map(|group| list(&group["rules"]));
        rules.extend(found.map(|rule| (format!("alerts/{name}"), rule.clone())));
    }
    rules
}

/// Every alert, in the order of the files. Two windows of one name are two.
fn alerts() -> Vec<Alert> {
    let alert = |(_, rule): (_, Value)| Some(Alert { name: rule["alert"].as_str()?.to_owned(), rule });
    rules().into_iter().filter_map(alert).collect()
}
