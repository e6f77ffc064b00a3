//! An alert is complete: it is linted and tried, has a page, a panel and a severity, and says what it is about.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::{alerts, files, list, read};
use crate::{dashboards::promises::PROMISED, tool};

/// The numbers of panels that alerts lead to; others begin at 30.
const LED_TO: std::ops::Range<u64> = 10..30;

/// What a page consists of.
const SECTIONS: [&str; 4] = ["Meaning", "Impact", "Diagnosis", "Mitigation"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn names() -> BTreeSet<String> {
    alerts().into_iter().map(|alert| alert.name).collect()
}

fn promtool(arguments: &[&str], within: &str, ending: &str) {
    let mut command = Command::new(tool::program("promtool"));
    command.args(arguments).args(files(within, ending).into_iter().map(|(_, path)| path));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_linter_has_nothing_to_say() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], "rules", ".yml");
}

#[test]
fn every_unit_test_of_the_rules_passes() {
    promtool(&["test", "rules"], "tests", ".test.yml");
}

/// Minutes of a time such as `1h` or `75m`.
fn minutes(time: &str) -> f64 {
    let (number, unit) = time.split_at(time.len() - 1);
    number.parse::<f64>().unwrap() * if unit == "h" { 60.0 } else { 1.0 }
}

#[test]
fn each_alert_is_tried_quiet_before_firing_and_quiet_where_it_would_annoy() {
    let (mut in_time, mut spared) = (BTreeSet::new(), BTreeSet::new());
    let mut known = names();
    for (name, _) in files("tests", ".test.yml") {
        for test in list(&read(&format!("tests/{name}.test.yml"))["tests"]) {
            let mut by_alert = BTreeMap::<&str, Vec<(f64, bool)>>::new();
            for check in list(&test["alert_rule_test"]) {
                let fires = list(&check["exp_alerts"]).next().is_some();
                let at = minutes(check["eval_time"].as_str().unwrap());
                by_alert.entry(check["alertname"].as_str().unwrap()).or_default().push((at, fires));
            }
            for (alert, checks) in by_alert {
                assert!(known.contains(alert), "alerts/tests/{name}.test.yml tries {alert}, which nobody wrote");
                let first = checks.iter().filter(|(_, fires)| *fires).map(|(at, _)| *at).reduce(f64::min);
                match first {
                    Some(first) if checks.iter().any(|(at, fires)| !fires && *at < first) => {
                        in_time.insert(alert.to_owned())
                    }
                    Some(_) => false,
                    None => spared.insert(alert.to_owned()),
                };
            }
        }
    }
    // It always fires: there is neither a before nor anybody whom it annoys.
    assert!(known.remove("Watchdog"));
    assert_eq!(in_time, known, "quiet at first and firing later, in one test");
    assert_eq!(spared, known, "quiet throughout, in a test of something that looks alike");
}

#[test]
fn each_alert_has_a_page_and_each_page_of_an_alert_has_one() {
    let mut faults = Vec::new();
    for name in names() {
        match fs::read_to_string(root().join(format!("runbook/{name}.md"))) {
            Err(_) => faults.push(format!("runbook/{name}.md is missing")),
            Ok(page) => {
                let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
                if sections != SECTIONS {
                    faults.push(format!("runbook/{name}.md: its sections are {sections:?}"));
                }
            }
        }
    }
    // Guides have lower-case names.
    let pages = fs::read_dir(root().join("runbook")).unwrap().map(|page| page.unwrap().file_name());
    let pages = pages.filter_map(|page| Some(page.to_str()?.strip_suffix(".md")?.to_owned()));
    let of_alerts = pages.filter(|page| page.starts_with(char::is_uppercase) && page != "README");
    faults.extend(
        of_alerts.filter(|page| !names().contains(page)).map(|page| format!("runbook/{page}.md: no such alert")),
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The panels of a dashboard, also those in rows: number and title.
fn panels(dashboard: &Value) -> Vec<(u64, String)> {
    let own =
        list(&dashboard["panels"]).filter_map(|panel| Some((panel["id"].as_u64()?, panel["title"].as_str()?.into())));
    own.chain(list(&dashboard["panels"]).flat_map(panels)).collect()
}

#[test]
fn each_alert_has_its_panel_and_each_panel_of_an_alert_has_one() {
    assert_eq!(names(), PROMISED.iter().map(|(alert, ..)| (*alert).to_owned()).collect());
    let mut faults = Vec::new();
    for alert in alerts() {
        let (_, board, id, _) = PROMISED.iter().find(|(name, ..)| *name == alert.name).unwrap();
        let link = alert.annotation("dashboard_url");
        let place = format!("http://localhost:3000/d/glasshouse-{board}?viewPanel=panel-{id}");
        if link.strip_prefix(&place).is_none_or(|rest| !rest.is_empty() && !rest.starts_with("&var-job=")) {
            faults.push(format!("{} links to {link}", alert.name));
        }
    }
    let boards: BTreeSet<_> = PROMISED.iter().map(|(_, board, ..)| *board).collect();
    for board in boards {
        let text = fs::read_to_string(root().join(format!("dashboards/{board}.json"))).unwrap_or_default();
        let dashboard: Value = serde_json::from_str(&text).unwrap_or_default();
        if dashboard["uid"] != format!("glasshouse-{board}") {
            faults.push(format!("dashboards/{board}.json is not what links call glasshouse-{board}"));
        }
        let wanted = PROMISED.iter().filter(|(_, of, ..)| *of == board);
        let wanted: BTreeSet<_> = wanted.map(|(_, _, id, title)| (*id, (*title).to_owned())).collect();
        let there: BTreeSet<_> = panels(&dashboard).into_iter().filter(|(id, _)| LED_TO.contains(id)).collect();
        if wanted != there {
            faults.push(format!("dashboards/{board}.json: alerts lead to {wanted:?}, there are {there:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a text names a time such as `5m`, `30d`.
fn names_a_window(text: &str) -> bool {
    text.split(|char: char| !char.is_ascii_alphanumeric()).any(|word| {
        let number = word.trim_end_matches(['m', 'h', 'd']);
        !number.is_empty() && number.len() + 1 == word.len() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[test]
fn each_alert_says_what_happens_since_when_and_where_to_go() {
    let wanted = BTreeSet::from(["summary", "description", "runbook_url", "dashboard_url"]);
    for alert in alerts() {
        let name = &alert.name;
        let annotations = alert.rule["annotations"].as_object().unwrap();
        assert_eq!(annotations.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "{name}");
        assert!(matches!(alert.label("severity"), Some("page" | "ticket" | "none")), "{name}");
        assert!(!alert.annotation("summary").trim().is_empty(), "{name}");
        assert!(alert.annotation("description").contains("$value"), "{name}: its description tells no value");
        assert!(names_a_window(alert.annotation("description")), "{name}: its description tells no time");
        assert_eq!(alert.annotation("runbook_url"), format!("http://localhost:8081/runbook/{name}.md"));
        let link = alert.annotation("dashboard_url");
        let place = "&var-job={{ $labels.job }}&var-environment={{ $labels.environment }}";
        assert_eq!(link.contains(place), name != "Watchdog", "{name}: {link}");
        // One instance is shown where one is meant, and never the empty one of a sum over all.
        let speaks_of_one = alert.annotation("description").contains("$labels.instance");
        assert_eq!(link.ends_with("&var-instance={{ $labels.instance }}"), speaks_of_one, "{name}: {link}");
    }
}
