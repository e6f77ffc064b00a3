//! The dashboards and their panels, as a program reads them.

use std::{fs, path::PathBuf};

use serde_json::Value;

/// Every dashboard, in the order in which they are read.
pub(crate) const DASHBOARDS: [&str; 6] = ["overview", "http", "database", "runtime", "telemetry", "load"];

/// Where the dashboards lie.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// One dashboard, as Grafana is given it.
pub(crate) fn dashboard(name: &str) -> Value {
    let file = folder().join(name).with_extension("json");
    serde_json::from_slice(&fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))).unwrap()
}

/// What a list in a dashboard holds, nothing where there is none.
pub(crate) fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

/// The text of a member, nothing where there is none.
pub(crate) fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

/// The panels of a dashboard, without the headings between them.
pub(crate) fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}
