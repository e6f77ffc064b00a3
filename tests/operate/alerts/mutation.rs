//! A unit test of a rule is worth what it notices: each small mistake in a rule must make one fail.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{alerts, files, list, mutants::mutants, read};
use crate::tool;

/// Mistakes that change nothing, each with the reason why no test can notice it: the rule's name, what the mistake says.
const EQUIVALENT: &[(&str, &str, &str)] = &[];

/// How many files one promtool reads: its start costs more than a rule.
const BATCH: usize = 16;

/// A rule as it is or with a mistake, and the tests that it has to pass or to fail.
struct Trial {
    /// The name of the rule.
    rule: String,
    /// Nothing if it is as it was written.
    mistake: Option<String>,
    rules: Value,
    tests: Value,
}

/// The tests of one file that try this alert, and nothing else in them.
fn tests_of(alert: &str, file: &Value) -> Value {
    let tests = list(&file["tests"]).filter_map(|test| {
        let mut test = test.clone();
        let checks = test["alert_rule_test"].as_array_mut()?;
        checks.retain(|check| check["alertname"] == alert);
        (!checks.is_empty()).then_some(test)
    });
    json!({ "evaluation_interval": file["evaluation_interval"], "tests": tests.collect::<Vec<_>>() })
}

/// Each alert alone with its own tests, first as it is: what another does says nothing of it.
fn trials_of_alerts() -> Vec<Trial> {
    let mut trials = Vec::new();
    let alerts = alerts();
    for name in alerts.iter().map(|alert| &alert.name).collect::<BTreeSet<_>>() {
        let same: Vec<_> = alerts.iter().filter(|alert| alert.name == *name).collect();
        let tests = tests_of(name, &read(&format!("tests/{}.test.yml", same[0].group)));
        let rules: Vec<_> = same.iter().map(|alert| alert.rule.clone()).collect();
        trials.extend(made(name, &rules, &tests, |_| name.clone()));
    }
    trials
}

/// What is recorded builds on each other, so all of it is tried together.
fn trials_of_recordings() -> Vec<Trial> {
    let file = read("rules/recording.yml");
    let rules: Vec<_> = list(&file["groups"]).flat_map(|group| list(&group["rules"])).cloned().collect();
    let tests = read("tests/recording.test.yml");
    made("recording", &rules, &tests, |rule| rule["record"].as_str().unwrap().to_owned())
}

fn made(group: &str, rules: &[Value], tests: &Value, name: impl Fn(&Value) -> String) -> Vec<Trial> {
    let trial = |rule: String, mistake, rules: &[Value]| {
        let rules = json!({ "groups": [{ "name": group, "rules": rules }] });
        Trial { rule, mistake, rules, tests: tests.clone() }
    };
    let mut trials = vec![trial(group.to_owned(), None, rules)];
    for (at, rule) in rules.iter().enumerate() {
        for mutant in mutants(rule) {
            let mut rules = rules.to_vec();
            rules[at] = mutant.rule;
            trials.push(trial(name(rule), Some(mutant.mistake), &rules));
        }
    }
    trials
}

/// Writes a trial down; returns the file that promtool is given.
fn write(trial: &Trial, folder: &Path, number: usize) -> PathBuf {
    let rules = folder.join(format!("{number}.rules.json"));
    fs::write(&rules, trial.rules.to_string()).unwrap();
    let mut tests = trial.tests.clone();
    tests["rule_files"] = json!([rules]);
    let file = folder.join(format!("{number}.test.json"));
    fs::write(&file, tests.to_string()).unwrap();
    file
}

/// Whether the tests pass, for each of the files.
fn passes(files: &[PathBuf], folder: &Path) -> Vec<bool> {
    // In one stream, or the order of what it says would be lost.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(tool::program("promtool"));
    // Half of its time would go into collecting garbage, and it does not live long enough to need that.
    command.args(["test", "rules"]).args(files).env("TMPDIR", folder).env("GOGC", "400").env("GOMAXPROCS", "1");
    let said = command.output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said);
    let verdicts = said.lines().filter_map(|line| match line.trim_end() {
        "  SUCCESS" => Some(true),
        "  FAILED:" => Some(false),
        _ => None,
    });
    let verdicts: Vec<_> = verdicts.collect();
    assert_eq!(verdicts.len(), files.len(), "{said}");
    verdicts
}

#[test]
fn every_mistake_in_a_rule_is_noticed_by_a_test_of_it() {
    assert!(!files("tests", ".test.yml").is_empty());
    let trials: Vec<_> = trials_of_alerts().into_iter().chain(trials_of_recordings()).collect();
    for trial in &trials {
        for rule in list(&trial.rules["groups"][0]["rules"]) {
            let text = rule["expr"].as_str().unwrap();
            let parsed = promql_parser::parser::parse(text);
            assert!(parsed.is_ok(), "{}: a mistake that Prometheus itself would notice is none: {text}", trial.rule);
        }
    }
    let folder = TempDir::new().unwrap();
    let written: Vec<_> =
        trials.iter().enumerate().map(|(number, trial)| write(trial, folder.path(), number)).collect();
    let batches: Vec<_> = written.chunks(BATCH).collect();
    let (next, passed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((number, batch)) = {
                    let number = next.fetch_add(1, SeqCst);
                    batches.get(number).map(|batch| (number, batch))
                } {
                    let verdicts = passes(batch, folder.path());
                    let passing = verdicts.iter().enumerate().filter(|(_, passes)| **passes);
                    passed.lock().unwrap().extend(passing.map(|(at, _)| number * BATCH + at));
                }
            });
        }
    });
    let passed: BTreeSet<_> = passed.into_inner().unwrap().into_iter().collect();

    let mut faults = Vec::new();
    let mut needless: BTreeSet<_> = EQUIVALENT.iter().collect();
    for (number, trial) in trials.iter().enumerate() {
        match (&trial.mistake, passed.contains(&number)) {
            (None, false) => faults.push(format!("{}: as it is, it does not pass", trial.rule)),
            (Some(mistake), true) => {
                let known = EQUIVALENT.iter().find(|(rule, known, _)| *rule == trial.rule && mistake.contains(known));
                match known {
                    Some(known) => drop(needless.remove(known)),
                    None => faults.push(format!("{}: nobody notices that {mistake}", trial.rule)),
                }
            }
            (None, true) | (Some(_), false) => {}
        }
    }
    faults.extend(needless.into_iter().map(|(rule, mistake, _)| format!("{rule}: {mistake} needs no exception")));
    let mistakes = trials.iter().filter(|trial| trial.mistake.is_some()).count();
    assert!(faults.is_empty(), "of {mistakes} mistakes:\n{}", faults.join("\n"));
}
