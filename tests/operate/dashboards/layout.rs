//! Our own rules about how a dashboard is made: what may stand in it, where, and what is said about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use serde_json::{Value, json};

use super::{
    expression::{labels, parse, selectors},
    panels::{DASHBOARDS, dashboard, list, panels, text},
};

/// What Grafana 13 draws without a plug-in, and somebody can read at night.
const KINDS: &[&str] = &[
    "alertlist",
    "bargauge",
    "gauge",
    "heatmap",
    "logs",
    "row",
    "stat",
    "state-timeline",
    "table",
    "text",
    "timeseries",
    "traces",
];

/// How wide Grafana's grid is.
const COLUMNS: u64 = 24;

/// Ids below it are promised to alerts.
const FREE: u64 = 30;

static ALL: LazyLock<Vec<Value>> = LazyLock::new(|| DASHBOARDS.iter().map(|name| dashboard(name)).collect());

/// Every panel of every dashboard, with the name that a complaint gives it.
fn each() -> impl Iterator<Item = (String, &'static Value)> {
    ALL.iter().flat_map(|dashboard| {
        let named = |panel| (format!("{}: {}", text(dashboard, "title"), text(panel, "title")), panel);
        panels(dashboard).map(named)
    })
}

fn id(panel: &Value) -> u64 {
    panel["id"].as_u64().unwrap()
}

#[test]
fn a_dashboard_is_found_by_the_name_of_its_file() {
    for (name, dashboard) in DASHBOARDS.iter().zip(ALL.iter()) {
        assert_eq!(text(dashboard, "uid"), format!("glasshouse-{name}"));
        assert!(text(dashboard, "description").ends_with('.'), "{name}: what it answers, in a sentence");
        assert_eq!((&dashboard["schemaVersion"], &dashboard["tags"]), (&json!(42), &json!(["glasshouse"])));
    }
    assert_eq!(ALL.iter().map(|dashboard| text(dashboard, "title")).collect::<BTreeSet<_>>().len(), DASHBOARDS.len());
}

#[test]
fn ids_and_titles_are_unique_in_a_dashboard() {
    for dashboard in ALL.iter() {
        let panels = list(dashboard, "panels");
        let ids: BTreeSet<_> = panels.iter().map(id).collect();
        let titles: BTreeSet<_> = panels.iter().map(|panel| text(panel, "title")).collect();
        assert_eq!((ids.len(), titles.len()), (panels.len(), panels.len()), "{}", text(dashboard, "title"));
        let promised = panels.iter().filter(|panel| id(panel) < FREE && panel["links"] == json!([]));
        assert_eq!(promised.count(), 0, "{}: ids below {FREE} belong to panels of alerts", text(dashboard, "title"));
    }
}

#[test]
fn panels_fill_the_grid_and_do_not_overlap() {
    for dashboard in ALL.iter() {
        let mut covered = BTreeMap::new();
        for panel in list(dashboard, "panels") {
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
                let before = covered.insert((y, x), text(panel, "title"));
                assert_eq!(before, None, "{} lies upon it", text(panel, "title"));
            }
        }
        let height = covered.keys().map(|(y, _)| y + 1).max().unwrap();
        assert!(covered.keys().all(|(_, x)| *x < COLUMNS), "{}: beyond the grid", text(dashboard, "title"));
        assert_eq!(covered.len() as u64, height * COLUMNS, "{}: holes in the grid", text(dashboard, "title"));
    }
}

#[test]
fn a_dashboard_begins_with_a_question_and_so_does_each_row() {
    for dashboard in ALL.iter() {
        let panels = list(dashboard, "panels");
        assert_eq!(panels[0]["type"], "row", "{}", text(dashboard, "title"));
        for row in panels.iter().filter(|panel| panel["type"] == "row") {
            assert!(text(row, "title").ends_with('?'), "{}: what do its panels answer?", row["title"]);
        }
    }
}

#[test]
fn each_panel_can_be_drawn_and_says_what_to_look_for() {
    for (name, panel) in each() {
        assert!(KINDS.contains(&text(panel, "type")), "{name}: {}", panel["type"]);
        let description = text(panel, "description");
        assert!(description.ends_with('.') && description.len() > 60, "{name}: {description}");
    }
}

#[test]
fn histograms_bring_their_exemplars() {
    let mut some = 0;
    for (name, panel) in each().filter(|(_, panel)| panel["type"] != "stat") {
        for target in list(panel, "targets").iter().filter(|target| text(target, "expr").contains("_bucket{")) {
            assert_eq!(target["exemplar"], true, "{name}: no way to a trace");
            some += 1;
        }
    }
    assert!(some > 10);
}

/// The labels that a text asks for between these marks.
fn asked<'a>(text: &'a str, open: &'static str, close: &'static [char]) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

#[test]
fn legends_and_links_name_labels_that_the_answers_have() {
    for (name, panel) in each() {
        let mut known = BTreeSet::new();
        for target in list(panel, "targets") {
            // Without an aggregation the answers have every label of the metric.
            let labels = labels(&parse(text(target, "expr"), "5m").unwrap());
            for label in asked(text(target, "legendFormat"), "{{", &['}']) {
                let has = labels.as_ref().is_none_or(|labels| labels.contains(label));
                assert!(has, "{name}: {label} in the legend of {}", target["expr"]);
            }
            known.extend(labels.unwrap_or_else(|| BTreeSet::from(["job".to_owned(), "instance".to_owned()])));
        }
        for link in list(&panel["fieldConfig"]["defaults"], "links") {
            for label in asked(text(link, "url"), "${__field.labels.", &[':', '}']) {
                assert!(known.contains(label), "{name}: {label} in the link {}", link["title"]);
            }
        }
    }
}

#[test]
fn deploys_starts_alerts_and_injected_faults_are_drawn_everywhere() {
    for dashboard in ALL.iter() {
        let list = list(&dashboard["annotations"], "list");
        let names: Vec<_> = list.iter().map(|annotation| text(annotation, "name")).collect();
        assert_eq!(names, ["Deploys", "Starts", "Alerts", "Injected faults"]);
        assert!(text(&list[0]["target"], "expr").contains("glasshouse_build_info"));
        for annotation in list {
            assert!(annotation["enable"] == true && parse(text(&annotation["target"], "expr"), "5m").is_ok());
        }
    }
}

#[test]
fn queries_of_a_job_are_narrowed_to_one_environment() {
    let mut faults = Vec::new();
    for dashboard in ALL.iter() {
        let of_panels = panels(dashboard).flat_map(|panel| list(panel, "targets"));
        let of_annotations = list(&dashboard["annotations"], "list").iter().map(|annotation| &annotation["target"]);
        for target in of_panels.chain(of_annotations) {
            let expression = text(target, "expr");
            let has = |matchers: &[String], matcher: &str| matchers.iter().any(|found| found == matcher);
            let mixed = selectors(&parse(expression, "5m").unwrap()).into_iter().any(|selector| {
                has(&selector.matchers, r#"job=~"$job""#) && !has(&selector.matchers, r#"environment=~"$environment""#)
            });
            faults.extend(mixed.then(|| format!("{}: {expression}", text(dashboard, "title"))));
        }
        let variables = list(&dashboard["templating"], "list");
        let environment = variables.iter().find(|variable| variable["name"] == "environment").unwrap();
        assert_eq!((&environment["multi"], &environment["includeAll"]), (&json!(false), &json!(false)));
    }
    assert!(faults.is_empty(), "several environments are added up:\n{}", faults.join("\n"));
}
