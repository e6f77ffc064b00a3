//! Who hears of what: every alert goes to the receiver of its severity, and what follows from another is kept back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    time::Duration,
};

use promql_parser::util::parse_duration;
use serde_json::{Value, json};

use super::{Alert, alerts, folder};
use crate::{
    stack::{Alertmanager, Scale, Webhook},
    support::eventually,
    tool,
};

fn amtool() -> Command {
    Command::new(tool::program("amtool"))
}

/// The labels that an alert arrives with.
fn labels(alert: &Alert) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("alertname".to_owned(), alert.name.clone())]);
    let of_rule = alert.rule["labels"].as_object().unwrap();
    labels.extend(of_rule.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())));
    if alert.name != "Watchdog" {
        labels.insert("job".to_owned(), "glasshouse".to_owned());
    }
    labels
}

#[test]
fn the_settings_of_alertmanager_are_valid() {
    let output = amtool().arg("check-config").arg(folder().join("alertmanager.yml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_alert_goes_to_the_receiver_of_its_severity() {
    for alert in alerts() {
        let receiver = match alert.label("severity").unwrap() {
            "page" => "pager",
            "ticket" => "tickets",
            "none" => "deadman",
            other => panic!("{}: nobody hears of {other}", alert.name),
        };
        let mut command = amtool();
        command.args(["config", "routes", "test"]).arg("--config.file").arg(folder().join("alertmanager.yml"));
        command.arg(format!("--verify.receivers={receiver}"));
        command.args(labels(&alert).iter().map(|(name, value)| format!("{name}={value}")));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{}: not to {receiver}\n{said}", alert.name);
    }
}

/// What was sent a whole interval ago is a moment too young to be sent again: it would come every second time.
#[test]
fn the_dead_man_is_told_each_time_that_its_group_is_looked_at() {
    let settings = fs::read_to_string(folder().join("alertmanager.yml")).unwrap();
    let settings: Value = serde_saphyr::from_str(&settings).unwrap();
    let routes = settings["route"]["routes"].as_array().unwrap();
    let route = routes.iter().find(|route| route["receiver"] == "deadman").unwrap();
    let long = |name: &str| parse_duration(route[name].as_str().unwrap()).unwrap();
    assert!(long("repeat_interval") < long("group_interval"), "{route}");
}

/// An alert of that name with those further labels.
fn alert(name: &str, further: &[(&str, &str)]) -> Value {
    let mut labels = json!({ "alertname": name, "job": "glasshouse" });
    for (label, value) in further {
        labels[*label] = json!(value);
    }
    json!({ "labels": labels })
}

/// Which of these are kept back while all of them fire.
async fn suppressed(manager: &Alertmanager, firing: &[Value]) -> BTreeSet<String> {
    let http = reqwest::Client::new();
    let url = format!("http://{}/api/v2/alerts", manager.address);
    let sent = http.post(&url).json(firing).send().await.unwrap();
    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
    // Inhibition follows the alerts after a moment; what comes with them says when that moment is over.
    let known = eventually("every alert has a state, and the marker is kept back", async || {
        let known: Vec<Value> = http.get(&url).send().await.ok()?.json().await.ok()?;
        let is_kept_back = |alert: &Value| alert["status"]["state"] == "suppressed";
        let marked = known.iter().any(|alert| alert["labels"]["job"] == "marker" && is_kept_back(alert));
        (known.len() == firing.len() && marked).then_some(known)
    })
    .await;
    let kept_back = known.iter().filter(|alert| alert["status"]["state"] == "suppressed");
    let names = kept_back.filter(|alert| alert["labels"]["job"] != "marker").map(|alert| {
        let labels = &alert["labels"];
        let place = labels["instance"].as_str().or(labels["slo"].as_str()).unwrap_or_default();
        format!("{} {place}", labels["alertname"].as_str().unwrap()).trim().to_owned()
    });
    names.collect()
}

#[tokio::test]
async fn what_follows_from_another_alert_wakes_nobody() {
    let marker = [
        json!({ "labels": { "alertname": "TargetAbsent", "job": "marker" } }),
        json!({ "labels": { "alertname": "HighErrorRate", "job": "marker" } }),
    ];
    let (a, b) = ([("instance", "a")], [("instance", "b")]);
    let cases = [
        // Of one instance nothing is known any more; of the others, and of what the job does to its clients, all is.
        (
            vec![
                alert("TargetDown", &a),
                alert("TargetDown", &b),
                alert("DatabaseDown", &a),
                alert("TaskLeak", &b),
                alert("DatabaseDown", &[("instance", "c")]),
                alert("HighErrorRate", &[]),
            ],
            vec!["DatabaseDown a", "TaskLeak b"],
        ),
        // Of the job nothing is known; the dead man's switch and other jobs are none of its business.
        (
            vec![
                alert("TargetAbsent", &[]),
                alert("TrafficVanished", &[]),
                alert("Panics", &a),
                json!({ "labels": { "alertname": "Watchdog", "severity": "none" } }),
                json!({ "labels": { "alertname": "RuleFailures", "job": "prometheus" } }),
            ],
            vec!["Panics a", "TrafficVanished"],
        ),
        // Of one environment nothing is known; the other is another matter.
        (
            vec![
                alert("TargetAbsent", &[("environment", "staging")]),
                alert("TrafficVanished", &[("environment", "staging"), ("instance", "staging")]),
                alert("TrafficVanished", &[("environment", "production"), ("instance", "production")]),
            ],
            vec!["TrafficVanished staging"],
        ),
        // A database that a stuck instance does not hear of is no news; one that another does not hear of is.
        (
            vec![alert("RuntimeStalled", &a), alert("DatabaseDown", &a), alert("DatabaseDown", &b)],
            vec!["DatabaseDown a"],
        ),
        // A database that does not answer is left alone; one that answers and is left alone is news.
        (vec![alert("DatabaseDown", &a), alert("CircuitOpen", &a), alert("CircuitOpen", &b)], vec!["CircuitOpen a"]),
        // A page needs no ticket beside it, but a page for one objective says nothing of the other.
        (
            vec![
                alert("AvailabilityBurnFast", &[("slo", "availability"), ("window", "1h")]),
                alert("AvailabilityBurnSlow", &[("slo", "availability"), ("window", "1d")]),
                alert("LatencyBurnSlow", &[("slo", "latency"), ("window", "1d")]),
            ],
            vec!["AvailabilityBurnSlow availability"],
        ),
        (
            vec![
                alert("LatencyBurnFast", &[("slo", "latency"), ("window", "1h")]),
                alert("LatencyBurnSlow", &[("slo", "latency"), ("window", "3d")]),
                alert("AvailabilityBurnSlow", &[("slo", "availability"), ("window", "1d")]),
            ],
            vec!["LatencyBurnSlow latency"],
        ),
    ];
    let webhook = Webhook::start(0).await;
    let real = Scale { factor: 1.0, scrape: Duration::from_secs(15) };
    for (firing, expected) in cases {
        let manager = Alertmanager::start(&folder().join("alertmanager.yml"), &real, webhook.address, 0).await;
        let firing = [firing, marker.to_vec()].concat();
        let expected: BTreeSet<_> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(suppressed(&manager, &firing).await, expected, "of {firing:?}");
    }
}
