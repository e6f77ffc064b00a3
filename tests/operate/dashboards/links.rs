//! Links of dashboards lead somewhere: to each other, to the runbook, to paths and fields that there are.

use std::path::Path;

use glasshouse::telemetry::catalog::{FIELDS, PATHS, SPANS, attribute};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::panels::{DASHBOARDS, dashboard, list, panels, text};

const RUNBOOK: &str = "http://localhost:8081/runbook/";
const RULES: &str = "http://localhost:9090/rules";
/// How a link names the instance of the point, of the cell, or of the row that was clicked.
const INSTANCES: &[&str] =
    &["http://${__field.labels.instance}", "http://${__value.raw}", "http://${__data.fields.Instance}"];

/// What Loki says of every line beside its fields.
const LEVEL: &str = "detected_level";

/// Why a link is dead, if it is.
fn dead(url: &str) -> Option<String> {
    if let Some(page) = url.strip_prefix(RUNBOOK) {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook").join(page);
        return (!page.is_file()).then(|| format!("{} is no page", page.display()));
    }
    if let Some(uid) = url.strip_prefix("/d/") {
        let uid = uid.split('?').next().unwrap_or_default();
        let known = DASHBOARDS.iter().any(|name| format!("glasshouse-{name}") == uid);
        return (!known).then(|| format!("{uid} is no dashboard"));
    }
    if let Some(path) = INSTANCES.iter().find_map(|instance| url.strip_prefix(instance)) {
        let path = path.split('?').next().unwrap_or_default();
        return (!PATHS.iter().any(|known| known.name == path)).then(|| format!("{path} is no path of that port"));
    }
    if url.starts_with("/explore?") {
        return unexplored(url);
    }
    (url != RULES).then(|| format!("{url} leads somewhere unknown"))
}

/// What is wrong with a query in Grafana's Explore.
fn unexplored(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let (_, panes) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "panes")?;
    let panes: Value = serde_json::from_str(&panes).unwrap();
    let pane = &panes["a"];
    let query = &pane["queries"][0];
    assert_eq!(pane["datasource"], query["datasource"]["uid"]);
    match text(pane, "datasource") {
        "loki" => {
            let stages = text(query, "expr").split(" | ").skip(1);
            let mut labels = stages.filter_map(|stage| stage.split(['=', '!', '<', '>', '~']).next());
            // Loki has exported records, whose attributes are not called as the fields of a line.
            let is_field = |label: &str| FIELDS.iter().any(|field| attribute(field.name).replace('.', "_") == label);
            let known = |label: &str| label == LEVEL || is_field(label);
            labels.find(|label| !known(label)).map(|label| format!("{label} is no attribute of a log record"))
        }
        "tempo" => {
            let conditions = text(query, "query").trim_matches(['{', '}']).split(" && ").skip(1);
            let attributes = conditions.filter_map(|condition| condition.strip_prefix("span."));
            let mut attributes = attributes.filter_map(|rest| rest.split(['=', '!', '<', '>']).next());
            let known = |it: &str| SPANS.iter().any(|span| span.required.contains(&it) || span.optional.contains(&it));
            attributes.find(|it| !known(it)).map(|it| format!("{it} is no attribute of a span"))
        }
        other => Some(format!("{other} is no data source of logs or traces")),
    }
}

/// Every link below a value, wherever it stands.
fn links<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("url").and_then(Value::as_str));
            members.values().for_each(|member| links(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| links(item, found)),
        _ => {}
    }
}

#[test]
fn no_link_is_dead() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        let mut found = Vec::new();
        links(&dashboard, &mut found);
        let dead: Vec<_> = found.iter().filter_map(|url| dead(url)).collect();
        assert!(found.len() > 15 && dead.is_empty(), "{name}: {dead:#?}");
    }
}

#[test]
fn a_dead_link_is_seen() {
    let explore = |source: &str, member: &str, query: &str| {
        let query = json!({ "datasource": { "uid": source }, member: query });
        let panes = json!({ "a": { "datasource": source, "queries": [query] } }).to_string();
        format!("/explore?panes={}", form_urlencoded::byte_serialize(panes.as_bytes()).collect::<String>())
    };
    let planted = [
        "http://localhost:8081/runbook/Nobody.md",
        "/d/glasshouse-nobody?x",
        "http://${__value.raw}/debug/nobody",
        &explore("loki", "expr", "{} | nobody=1"),
        &explore("tempo", "query", "{a && span.nobody=1}"),
        &explore("nobody", "query", ""),
        "https://example.com",
    ];
    assert_eq!(planted.iter().filter(|url| dead(url).is_none()).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn every_dashboard_leads_to_every_other_and_keeps_what_was_chosen() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        let there: Vec<_> = list(&dashboard, "links").iter().map(|link| text(link, "url").to_owned()).collect();
        let others = DASHBOARDS.iter().filter(|other| **other != name);
        assert_eq!(there, others.map(|other| format!("/d/glasshouse-{other}")).collect::<Vec<_>>());
        assert!(list(&dashboard, "links").iter().all(|link| link["keepTime"] == true && link["includeVars"] == true));
    }
}

#[test]
fn every_panel_leads_somewhere() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        // What fires has the links of its alert; a table has them in its cells.
        let drawn = panels(&dashboard).filter(|panel| !matches!(text(panel, "type"), "alertlist" | "table"));
        let stuck = drawn.filter(|panel| list(&panel["fieldConfig"]["defaults"], "links").is_empty());
        assert_eq!(stuck.map(|panel| text(panel, "title")).collect::<Vec<_>>(), Vec::<&str>::new(), "{name}");
    }
}
