//! The numbers of the rules are those of `alerts/slo.json`, and follow from them.

use std::collections::BTreeSet;

use glasshouse::telemetry::catalog::HTTP_SECONDS;
use promql_parser::parser::{Expr, parse};
use serde_json::Value;

use super::{Alert, alerts, list, read};

/// How much of a budget has been spent when each burn rate alerts, by its long window: what people have agreed on.
const SPENT: &[(&str, &str, f64)] = &[("1h", "5m", 0.02), ("6h", "30m", 0.05), ("1d", "2h", 0.1), ("3d", "6h", 0.1)];

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("alerts/slo.json has no {path}"))
}

/// The hours of a window such as `30d`.
fn hours(window: &str) -> f64 {
    let (number, unit) = window.split_at(window.len() - 1);
    let hours = match unit {
        "m" => 1.0 / 60.0,
        "h" => 1.0,
        "d" => 24.0,
        _ => panic!("{window} is no window"),
    };
    number.parse::<f64>().unwrap() * hours
}

/// The numbers in an expression, the ranges it reads (in hours), and the bounds of buckets that it names.
#[derive(Default)]
struct Said {
    numbers: Vec<f64>,
    ranges: Vec<f64>,
    bounds: Vec<String>,
    metrics: Vec<String>,
}

fn said(text: &str) -> Said {
    let mut said = Said::default();
    collect(&parse(text).unwrap_or_else(|error| panic!("{error}: {text}")), &mut said);
    said
}

fn collect(expression: &Expr, said: &mut Said) {
    let mut selector = |vector: &promql_parser::parser::VectorSelector| {
        said.metrics.extend(vector.name.clone());
        let bounds = vector.matchers.matchers.iter().filter(|matcher| matcher.name == "le");
        said.bounds.extend(bounds.map(|matcher| matcher.value.clone()));
    };
    match expression {
        Expr::Aggregate(one) => collect(&one.expr, said),
        Expr::Unary(one) => collect(&one.expr, said),
        Expr::Paren(one) => collect(&one.expr, said),
        Expr::Binary(two) => {
            collect(&two.lhs, said);
            collect(&two.rhs, said);
        }
        Expr::Subquery(one) => {
            said.ranges.push(one.range.as_secs_f64() / 3600.0);
            collect(&one.expr, said);
        }
        Expr::NumberLiteral(number) => said.numbers.push(number.val),
        Expr::VectorSelector(vector) => selector(vector),
        Expr::MatrixSelector(matrix) => {
            selector(&matrix.vs);
            said.ranges.push(matrix.range.as_secs_f64() / 3600.0);
        }
        Expr::Call(call) => {
            for argument in &call.args.args {
                collect(argument, said);
            }
        }
        Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// The recording rules: name, objective, expression.
fn recorded() -> Vec<(String, String, String)> {
    let file = read("rules/recording.yml");
    let rules = list(&file["groups"]).flat_map(|group| list(&group["rules"]));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rules.map(|rule| (text(&rule["record"]), text(&rule["labels"]["slo"]), text(&rule["expr"]))).collect()
}

fn expression(alert: &Alert) -> &str {
    alert.rule["expr"].as_str().unwrap()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn objectives_and_threshold_are_those_of_the_file() {
    let slo = read("slo.json");
    let objectives: Vec<_> = recorded().into_iter().filter(|(name, ..)| name == "job:slo_objective:ratio").collect();
    assert_eq!(objectives.len(), 2);
    for (_, objective, text) in objectives {
        assert_eq!(said(&text).numbers, [number(&slo, &format!("/{objective}/objective"))], "{objective}");
    }
    let threshold = number(&slo, "/latency/threshold_seconds");
    let bounds: Vec<_> = recorded().iter().flat_map(|(.., text)| said(text).bounds).collect();
    let bounds: Vec<_> = bounds.into_iter().filter(|bound| bound != "+Inf").collect();
    assert_eq!(bounds, [threshold.to_string()], "what is slow");
    assert!(HTTP_SECONDS.contains(&threshold), "{threshold} is none of the histogram's bounds");
    assert!(threshold.fract() > 0.0, "one format writes 1, the other 1.0");
    let slow = alerts().into_iter().filter(|alert| alert.name.starts_with("LatencyBurn"));
    for alert in slow {
        assert!(alert.annotation("description").contains(&format!("slower than {threshold} s")), "{}", alert.name);
    }
    // The page for the tail: four times as long as is good enough.
    let tail = alerts().into_iter().find(|alert| alert.name == "HighLatencyP99").unwrap();
    assert!(said(expression(&tail)).numbers.contains(&(4.0 * threshold)), "{}", expression(&tail));
    // The service warns of the same requests in its log.
    let reference = include_str!("../../../config/reference.toml");
    assert!(reference.contains(&format!("#slow = \"{}ms\"", threshold * 1000.0)), "http.slow is another threshold");
}

#[test]
fn each_recorded_window_is_as_long_as_its_name_says() {
    let mut windows = BTreeSet::new();
    for (name, objective, text) in recorded() {
        let Some(window) = name.strip_prefix("job:slo_errors:ratio_rate").filter(|window| *window != "5m") else {
            continue;
        };
        let said = said(&text);
        assert_eq!(said.ranges, [hours(window); 2], "{name}");
        let bad = if objective == "latency" {
            "job:http_server_slow_requests:rate5m"
        } else {
            "job:http_server_errors:rate5m"
        };
        assert_eq!(said.metrics, [bad, "job:http_server_requests:rate5m"], "{name} of {objective}");
        windows.insert((window.to_owned(), objective));
    }
    assert_eq!(windows.len(), 14, "{windows:?}");
    let budget = recorded().into_iter().find(|(name, ..)| name == "job:slo_error_budget:left").unwrap();
    let whole = format!("job:slo_errors:ratio_rate{}", read("slo.json")["window"].as_str().unwrap());
    assert!(said(&budget.2).metrics.contains(&whole), "the budget is that of {whole}");
}

#[test]
fn burn_rates_follow_from_their_windows_and_the_share_of_the_budget_that_they_spend() {
    let period = hours(read("slo.json")["window"].as_str().unwrap());
    let mut tried = 0;
    for alert in alerts().into_iter().filter(|alert| alert.name.contains("Burn")) {
        let long = alert.label("window").unwrap();
        let (_, short, spent) = SPENT.iter().find(|(window, ..)| *window == long).unwrap();
        let said = said(expression(&alert));
        let rate = spent * period / hours(long);
        let given = said.numbers.iter().filter(|number| close(**number, rate)).count();
        // A burn rate of 1 looks like the 1 that an objective is subtracted from, twice.
        assert_eq!(given, if close(rate, 1.0) { 4 } else { 2 }, "{} over {long}: not {rate}", alert.name);
        assert!(close(hours(long), 12.0 * hours(short)), "{long} and {short}");
        let windows = [long, short].map(|window| format!("job:slo_errors:ratio_rate{window}"));
        let named: Vec<_> = said.metrics.iter().filter(|metric| metric.contains("ratio_rate")).collect();
        assert_eq!(named, windows.iter().collect::<Vec<_>>(), "{}", alert.name);
        assert_eq!(said.ranges, [hours(long)], "{}: bad requests are counted over {long}", alert.name);
        tried += 1;
    }
    assert_eq!(tried, 2 * SPENT.len());
    for alert in alerts().into_iter().filter(|alert| alert.name == "ErrorBudgetLow") {
        assert_eq!(said(expression(&alert)).ranges, [period]);
    }
}

/// Numbers of seconds can be scaled by a machine where they are a number times 60 or 3600, and nowhere else.
#[test]
fn a_number_of_seconds_is_written_as_a_product() {
    fn others(expression: &Expr, faults: &mut Vec<String>) {
        match expression {
            Expr::Call(call) if call.func.name == "predict_linear" => {
                let product = matches!(&*call.args.args[1], Expr::Binary(two) if two.op.to_string() == "*");
                faults.extend((!product).then(|| call.args.args[1].to_string()));
            }
            Expr::Binary(two) if two.lhs.to_string().starts_with("time()") && two.op.is_comparison_operator() => {
                faults.extend((!matches!(&*two.rhs, Expr::Binary(_))).then(|| two.rhs.to_string()));
            }
            Expr::Binary(two) => {
                others(&two.lhs, faults);
                others(&two.rhs, faults);
            }
            Expr::Paren(one) => others(&one.expr, faults),
            Expr::Aggregate(one) => others(&one.expr, faults),
            Expr::Call(call) => {
                for argument in &call.args.args {
                    others(argument, faults);
                }
            }
            _ => {}
        }
    }
    let mut faults = Vec::new();
    for alert in alerts() {
        others(&parse(expression(&alert)).unwrap(), &mut faults);
    }
    assert!(faults.is_empty(), "not scaled with the durations: {faults:?}");
    others(&parse("time() - x > 7200 and predict_linear(y[1h], 60) > 1").unwrap(), &mut faults);
    assert_eq!(faults, ["7200", "60"]);
}
