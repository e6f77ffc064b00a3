//! Every alert has its page, every page its four sections, and the index leads to all of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ELSEWHERE, GONE_THROUGH, ONLY_SHOWN, PASTED, alerts, names, text};
use crate::page::sections;

/// The annotations and labels of every alert, as the rules have them.
fn rules() -> BTreeMap<String, Value> {
    let alert = |(_, rule): (_, Value)| Some((rule["alert"].as_str()?.to_owned(), rule));
    crate::alerts::rules().into_iter().filter_map(alert).collect()
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert_or_is_a_guide() {
    let rules = rules();
    let (mut alerts, mut named): (Vec<&str>, Vec<&str>) =
        (alerts().collect(), rules.keys().map(String::as_str).collect());
    alerts.sort_unstable();
    named.sort_unstable();
    assert_eq!(alerts, named, "what a diagnosis must show is known of each alert");
    let mut known = [&alerts[..], PASTED, GONE_THROUGH, ELSEWHERE].concat();
    known.sort_unstable();
    assert_eq!(names(), known);
}

#[test]
fn every_page_has_its_four_sections_and_says_how_to_find_the_cause() {
    for alert in alerts() {
        let sections = sections(alert);
        let headings: Vec<_> = sections.iter().map(|section| section.heading.as_str()).collect();
        assert_eq!(headings, ["Meaning", "Impact", "Diagnosis", "Mitigation"], "{alert}");
        let told = [&sections[0], &sections[1]].iter().all(|section| section.commands.is_empty());
        assert!(told, "{alert}: what it means and whom it hurts is told, not asked");
        assert!(sections[2].commands.len() >= 2, "{alert}: one command never leads to a cause");
        let mitigation = text(alert).split_once("## Mitigation\n").unwrap().1.to_owned();
        assert!(mitigation.starts_with("\nNow: ") && mitigation.contains("\nTomorrow: "), "{alert}");
    }
}

#[test]
fn every_page_names_the_severity_and_the_panel_of_its_alert() {
    for (alert, rule) in rules() {
        let severity = match rule["labels"]["severity"].as_str().unwrap() {
            "page" => "Page. ",
            "ticket" => "Ticket. ",
            _ => "None: ",
        };
        let page = text(&alert);
        assert!(page.starts_with(&format!("# {alert}\n\n{severity}")), "{alert}: {severity}");
        let panel = rule["annotations"]["dashboard_url"].as_str().unwrap().split('&').next().unwrap();
        assert!(page.contains(&format!("]({panel})")), "{alert}: {panel}");
    }
}

#[test]
fn the_index_lists_everything_once_and_nothing_else() {
    let index = text("README");
    let listed = index.lines().filter_map(|line| {
        let link = line.strip_prefix("| [").or(line.strip_prefix("- [")).or(line.strip_prefix("[Watchdog"))?;
        Some(link.split_once("](")?.1.split_once(".md)")?.0)
    });
    let mut listed: Vec<_> = listed.collect();
    let paged = listed.len();
    listed.sort_unstable();
    let expected: Vec<_> = names().into_iter().filter(|name| name != "README").collect();
    assert_eq!(listed, expected, "{paged} are listed");
}

#[test]
fn what_no_test_runs_is_little_and_somebody_else_runs_it() {
    let mut shown = Vec::new();
    for name in names() {
        for command in sections(&name).into_iter().flat_map(|section| section.only_shown) {
            shown.extend(command.lines().map(|line| (name.clone(), line.to_owned())));
        }
    }
    for (page, line) in &shown {
        let excuse = ONLY_SHOWN.iter().find(|(known, begin, _)| known == page && line.starts_with(begin));
        assert!(excuse.is_some(), "{page}: {line}: who runs it?");
    }
    for (page, begin, reason) in ONLY_SHOWN {
        assert!(
            shown.iter().any(|(known, line)| known == page && line.starts_with(begin)),
            "{page}: {begin}: {reason}"
        );
    }
}
