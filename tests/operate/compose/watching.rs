//! Prometheus and Alertmanager, whose own programs read what the compose hands them.

use std::{os::unix::fs::symlink, process::Command};

use glasshouse::telemetry::catalog::PATHS;
use serde_json::Value;
use tempfile::TempDir;

use super::{files, mounts, parts, read, resolved, root, yaml};
use crate::tool;

/// What a check says; fails if it is not content.
fn content(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn promtool_accepts_the_configuration_with_every_rule_where_the_compose_mounts_it() {
    let (folder, compose) = (TempDir::new().unwrap(), resolved());
    let (_, prometheus) = parts(&compose).find(|(name, _)| *name == "prometheus").unwrap();
    let laid = mounts(prometheus);
    for (source, target) in &laid {
        let below = target.strip_prefix("/etc/prometheus/").expect("beside the configuration");
        symlink(root().join(source), folder.path().join(below)).unwrap();
    }
    let file = folder.path().join("prometheus.yml");
    let said = content(Command::new(tool::program("promtool")).args(["check", "config"]).arg(file));
    for rules in files("alerts/rules", "yml") {
        let (_, name) = rules.rsplit_once('/').unwrap();
        assert!(said.contains(name), "{name} is not read:\n{said}");
    }
}

#[test]
fn amtool_accepts_the_configuration() {
    let file = root().join("alerts/alertmanager.yml");
    content(Command::new(tool::program("amtool")).arg("check-config").arg(file));
}

/// Every host and port that a configuration of Prometheus names.
fn targets(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value.as_array() {
                Some(list) if name == "targets" => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
                _ => targets(value),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(targets).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn prometheus_scrapes_what_the_rules_call_by_name_and_only_parts_that_are_there() {
    let (file, compose) = (yaml("deploy/compose/prometheus.yml"), resolved());
    let jobs: Vec<&str> =
        file["scrape_configs"].as_array().unwrap().iter().filter_map(|job| job["job_name"].as_str()).collect();
    assert_eq!(jobs, ["glasshouse", "prometheus", "alertmanager", "otel-collector"]);
    for target in targets(&file) {
        let (host, _) = target.split_once(':').unwrap();
        let is_part = |name: &str| compose["services"][name].is_object();
        assert!(host == "localhost" || is_part(host), "{target} is nobody");
    }
    // Alertmanager has the network of the links, which therefore answer to its name.
    let aliases = &compose["services"]["links"]["networks"]["default"]["aliases"];
    assert_eq!(aliases[0], "alertmanager");
}

#[test]
fn prometheus_keeps_what_its_longest_rule_looks_back_at_and_exemplars_too() {
    let compose = resolved();
    let arguments: Vec<&str> =
        compose["services"]["prometheus"]["command"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let value = |name: &str| {
        let found = arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in {arguments:?}")).to_owned()
    };
    let slo: Value = serde_json::from_str(&read("alerts/slo.json")).unwrap();
    let days = |text: &str| text.trim_end_matches('d').parse::<u32>().unwrap();
    assert!(days(&value("--storage.tsdb.retention.time")) > days(slo["window"].as_str().unwrap()));
    assert_eq!(value("--enable-feature"), "exemplar-storage");
}

#[test]
fn alloy_asks_for_profiles_that_are_served_by_the_name_and_with_the_token_that_are_known() {
    let (file, compose) = (read("deploy/compose/profiles.alloy"), resolved());
    let (service, alloy) = (&compose["services"]["glasshouse"]["environment"], &compose["services"]["alloy"]);
    let quoted = |after: &str| {
        let rest = file.split(after).nth(1).unwrap_or_else(|| panic!("no {after}"));
        rest.split('"').nth(1).unwrap().to_owned()
    };
    let (host, port) = quoted("\"__address__\" =").split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(service["GLASSHOUSE_INTERNAL__HOSTS"], host);
    assert_eq!(service["GLASSHOUSE_INTERNAL__LISTEN"], format!("0.0.0.0:{port}"));
    assert_eq!(alloy["environment"][quoted("bearer_token = sys.env(")], service["GLASSHOUSE_INTERNAL__TOKEN"]);
    // What a block leaves unsaid is Alloy's default, which is Go's path.
    let blocks: Vec<(&str, &str)> =
        file.split("profile.").skip(1).filter_map(|block| block.split_once('}')?.0.split_once('{')).collect();
    let asked = blocks.iter().filter(|(_, block)| block.contains("= true")).map(|(name, block)| {
        let said = block.split_once("path").and_then(|(_, rest)| rest.split('"').nth(1));
        said.unwrap_or(if name.trim() == "process_cpu" { "/debug/pprof/profile" } else { "unknown" })
    });
    let asked: Vec<&str> = asked.collect();
    assert_eq!((asked.len(), blocks.len()), (2, 5), "{blocks:?}");
    assert!(asked.iter().all(|path| PATHS.iter().any(|known| known.name == *path)), "{asked:?}");
    assert_eq!(service["GLASSHOUSE_INTERNAL__HEAP_SAMPLING"], "true", "otherwise there is no heap to ask for");
}
