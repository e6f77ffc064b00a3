//! What alerts are promised: a panel each, by its id and title, with the line from which it fires.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use super::panels::{dashboard, list, panels, text};

/// Every alert with the dashboard, the id and the title of its panel. Annotations and bookmarks link to them.
pub(crate) const PROMISED: &[(&str, &str, u64, &str)] = &[
    ("AvailabilityBurnFast", "overview", 10, "Burn rate of availability"),
    ("AvailabilityBurnSlow", "overview", 10, "Burn rate of availability"),
    ("LatencyBurnFast", "overview", 11, "Burn rate of latency"),
    ("LatencyBurnSlow", "overview", 11, "Burn rate of latency"),
    ("ErrorBudgetLow", "overview", 12, "Error budget left"),
    ("HighErrorRate", "overview", 13, "Errors"),
    ("HighLatencyP99", "overview", 14, "Latency"),
    ("RequestsShed", "http", 22, "Shed and limited"),
    ("TrafficVanished", "overview", 15, "Requests"),
    ("TargetDown", "overview", 16, "Targets"),
    ("TargetAbsent", "overview", 16, "Targets"),
    ("SignInFailures", "http", 20, "Sign-ins"),
    ("TokenRejections", "http", 21, "Rejected tokens"),
    ("DatabaseDown", "database", 10, "Ready"),
    ("DatabaseErrors", "database", 11, "Errors"),
    ("DatabaseSlow", "database", 12, "Latency of queries"),
    ("PoolSaturated", "database", 13, "Connections"),
    ("CircuitOpen", "database", 14, "Circuit"),
    ("RuntimeStalled", "runtime", 10, "Stalled"),
    ("SchedulingDelay", "runtime", 11, "Scheduling delay"),
    ("TaskLeak", "runtime", 12, "Tasks"),
    ("HeapGrowth", "runtime", 13, "Memory"),
    ("FileDescriptorsLow", "runtime", 14, "File descriptors"),
    ("CrashLoop", "runtime", 15, "Starts"),
    ("Panics", "runtime", 16, "Panics"),
    ("TelemetryDropped", "telemetry", 10, "Spans and logs lost"),
    ("LogLinesDropped", "telemetry", 11, "Log lines"),
    ("SeriesOverflow", "telemetry", 12, "Series"),
    ("RuleFailures", "telemetry", 13, "Rules"),
    ("Watchdog", "telemetry", 14, "Watchdog"),
];

/// A file of `alerts/`.
fn alerts(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts").join(file)
}

/// Every rule that is an alert.
fn rules() -> Vec<Value> {
    let files = fs::read_dir(alerts("rules")).unwrap().map(|file| file.unwrap().path());
    let groups = files.flat_map(|file| {
        let file: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        list(&file, "groups").to_vec()
    });
    let rules = groups.flat_map(|group| list(&group, "rules").to_vec());
    rules.filter(|rule| rule["alert"].is_string()).collect()
}

/// The alerts whose pages of the runbook a panel links.
fn explained(panel: &Value) -> Vec<&str> {
    let pages = list(panel, "links").iter().map(|link| text(link, "url"));
    pages.filter_map(|url| url.rsplit('/').next()?.strip_suffix(".md")).collect()
}

#[test]
fn each_alert_has_its_panel_which_links_its_page() {
    for (alert, name, id, title) in PROMISED {
        let dashboard = dashboard(name);
        let panel = panels(&dashboard).find(|panel| panel["id"] == *id);
        let panel = panel.unwrap_or_else(|| panic!("{alert}: {name} has no panel {id}"));
        assert_eq!(text(panel, "title"), *title, "{alert}");
        assert!(explained(panel).contains(alert), "{alert}: {name}#{id} does not link its page");
    }
}

#[test]
fn every_alert_and_no_other_is_promised_a_panel() {
    let rules = rules();
    let known: BTreeSet<_> = rules.iter().map(|rule| text(rule, "alert")).collect();
    let promised: BTreeSet<_> = PROMISED.iter().map(|(alert, ..)| *alert).collect();
    assert_eq!(promised, known);
    for rule in &rules {
        let (_, name, id, _) = PROMISED.iter().find(|(alert, ..)| *alert == text(rule, "alert")).unwrap();
        let link = text(&rule["annotations"], "dashboard_url");
        assert!(link.contains(&format!("/d/glasshouse-{name}?viewPanel=panel-{id}")), "{}: {link}", rule["alert"]);
    }
}

/// The numbers at which a panel draws a line or changes its colour.
fn drawn(panel: &Value) -> impl Iterator<Item = f64> {
    let steps = list(&panel["fieldConfig"]["defaults"]["thresholds"], "steps");
    steps.iter().filter_map(|step| step["value"].as_f64()).filter(|value| *value != 0.0)
}

/// Whether a number stands in an expression, alone.
fn stands(number: f64, expression: &str) -> bool {
    let words = expression.split(|char: char| !(char.is_alphanumeric() || matches!(char, '.' | '_')));
    words.filter_map(|word| word.parse::<f64>().ok()).any(|found| found.total_cmp(&number).is_eq())
}

#[test]
fn a_line_is_drawn_where_the_alert_begins() {
    let rules = rules();
    let mut lines = 0;
    for (_, name, id, _) in PROMISED {
        let dashboard = dashboard(name);
        let panel = panels(&dashboard).find(|panel| panel["id"] == *id).unwrap();
        let of_panel: Vec<_> = rules.iter().filter(|rule| explained(panel).contains(&text(rule, "alert"))).collect();
        for line in drawn(panel) {
            let known = of_panel.iter().any(|rule| stands(line, text(rule, "expr")));
            assert!(known, "{name}#{id} draws {line}, and none of its alerts knows it");
            lines += 1;
        }
    }
    assert!(lines > 20 && stands(0.5, "a > 0.5") && !stands(5.0, "a[5m] > 0.5"));
}

#[test]
fn objectives_are_those_of_the_one_place_that_has_them() {
    let objectives: Value = serde_json::from_slice(&fs::read(alerts("slo.json")).unwrap()).unwrap();
    let (objective, bound) = (&objectives["latency"]["objective"], &objectives["latency"]["threshold_seconds"]);
    let http = dashboard("http");
    let within = panels(&http).find(|panel| panel["title"] == "Within the objective").unwrap();
    let asked: Vec<_> = list(within, "targets").iter().map(|target| text(target, "expr")).collect();
    assert!(asked[0].contains(&format!(r#"le="{bound}""#)), "{}", asked[0]);
    assert_eq!(asked[1], format!("vector({objective})"));
    let load = dashboard("load");
    let latency = panels(&load).find(|panel| panel["title"] == "Latency").unwrap();
    assert_eq!(latency["targets"][2]["expr"], json!(format!("vector({bound})")));
}
