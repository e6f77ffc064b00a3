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

/// What variables are replaced by: an interval such as `5m`, and regular expressions for the other two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen<'a> {
    pub(crate) rate_interval: &'a str,
    pub(crate) job: &'a str,
    pub(crate) instance: &'a str,
}

impl Chosen<'_> {
    /// The expression as Prometheus is asked it. Panics if a variable is left that nobody fills in.
    pub(crate) fn fill(&self, expression: &str) -> String {
        let filled = expression.replace("$__rate_interval", self.rate_interval);
        let filled = filled.replace("$instance", self.instance).replace("$job", self.job);
        assert!(!filled.contains('$'), "a variable that nobody fills in: {filled}");
        filled
    }
}
