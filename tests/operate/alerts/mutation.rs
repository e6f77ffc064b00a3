//! A unit test of a rule is worth what it notices: each small mistake in a rule must make one fail.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    slice::SliceIndex,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{alerts, files, list, mutants::mutants, read};
use crate::tool;

/// Mistakes that change nothing, each with the reason why no test can notice it: the rule's name, what the mistake says.
const EQUIVALENT: &[(&str, &str, &str)] = &[(
    "instance_le:glasshouse_slo_requests:since_start5m",
    "`5m` is `900s`",
    "every sample of a process that started within five minutes is of these five minutes",
)];

/// How many files one promtool reads: its start costs more than a rule.
const BATCH: usize = 16;

/// Files of tests that try recorded and alerting rules together, and so no mistake in one of them.
const TOGETHER: &[&str] = &["chain", "environments", "recording"];

/// A rule as it is or with a mistake, and the tests that it has to pass or to fail.
struct Trial {
    /// The name of the rule.
    rule: String,
    /// Nothing if it is as it was written.
    mistake: Option<String>,
    rules: Value,
    tests: Arc<Value>,
}

/// The tests of one file that try this alert, and nothing else in them.
fn tests_of(alert: &str) -> Value {
    let mut found = Vec::new();
    for (name, _) in files("tests", ".test.yml").into_iter().filter(|(name, _)| !TOGETHER.contains(&name.as_str())) {
        let mut file = read(&format!("tests/{name}.test.yml"));
        for test in file["tests"].as_array_mut().unwrap() {
            let checks = test["alert_rule_test"].as_array_mut().unwrap();
            checks.retain(|check| check["alertname"] == alert);
        }
        file["tests"].as_array_mut().unwrap().retain(|test| list(&test["alert_rule_test"]).next().is_some());
        if file["tests"] != json!([]) {
            found.push(file);
        }
    }
    assert_eq!(found.len(), 1, "{alert} is tried in one file");
    found.remove(0)
}

/// Each alert alone with its own tests, first as it is: what another does says nothing of it.
fn trials_of_alerts() -> Vec<Trial> {
    let mut trials = Vec::new();
    let alerts = alerts();
    for name in alerts.iter().map(|alert| &alert.name).collect::<BTreeSet<_>>() {
        let same = alerts.iter().filter(|alert| alert.name == *name);
        let rules: Vec<_> = same.map(|alert| alert.rule.clone()).collect();
        trials.extend(made(name, &rules, tests_of(name), |_| name.clone()));
    }
    trials
}

/// What is recorded builds on each other, so all of it is tried together.
fn trials_of_recordings() -> Vec<Trial> {
    let file = read("rules/recording.yml");
    let rules: Vec<_> = list(&file["groups"]).flat_map(|group| list(&group["rules"])).cloned().collect();
    made("recording", &rules, read("tests/recording.test.yml"), |rule| rule["record"].as_str().unwrap().to_owned())
}

fn made(group: &str, rules: &[Value], tests: Value, name: impl Fn(&Value) -> String) -> Vec<Trial> {
    let tests = Arc::new(tests);
    let trial = |rule: String, mistake, rules: &[Value]| {
        let rules = json!({ "groups": [{ "name": group, "rules": rules }] });
        Trial { rule, mistake, rules, tests: Arc::clone(&tests) }
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

/// Writes a trial down with those of its tests; returns the file that promtool is given.
fn write(trial: &Trial, which: impl SliceIndex<[Value], Output = [Value]>, folder: &Path) -> PathBuf {
    let rules = folder.join("rules.json");
    fs::create_dir_all(folder).unwrap();
    fs::write(&rules, trial.rules.to_string()).unwrap();
    let tests = &trial.tests["tests"].as_array().unwrap()[which];
    let file = folder.join("test.json");
    let interval = &trial.tests["evaluation_interval"];
    let tests = json!({ "rule_files": [rules], "evaluation_interval": interval, "tests": tests });
    fs::write(&file, tests.to_string()).unwrap();
    file
}

/// Whether the tests pass, for each of the files.
fn verdicts(files: &[PathBuf], folder: &Path) -> Vec<bool> {
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

/// Which of the files pass: as many promtools at a time as there are cores, a few files for each.
fn passing(files: &[PathBuf], folder: &Path) -> BTreeSet<usize> {
    let (next, passing) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let work = || {
        let mut batches = files.chunks(BATCH).enumerate();
        while let Some((number, batch)) = {
            let number = next.fetch_add(1, SeqCst);
            batches.find(|(at, _)| *at == number)
        } {
            let verdicts = verdicts(batch, folder);
            let numbers = verdicts.iter().enumerate().filter(|(_, passes)| **passes);
            passing.lock().unwrap().extend(numbers.map(|(at, _)| number * BATCH + at));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    passing.into_inner().unwrap()
}

/// The trials that pass all of their tests. Most mistakes make the first one fail, and need no other.
fn survivors(trials: &[Trial]) -> BTreeSet<usize> {
    let folder = TempDir::new().unwrap();
    let place = |number: usize| folder.path().join(number.to_string());
    let first: Vec<_> = trials.iter().enumerate().map(|(at, trial)| write(trial, ..1, &place(at))).collect();
    let left: Vec<_> = passing(&first, folder.path()).into_iter().collect();
    let all: Vec<_> = left.iter().map(|at| write(&trials[*at], 1.., &place(*at))).collect();
    passing(&all, folder.path()).into_iter().map(|at| left[at]).collect()
}

#[test]
fn every_mistake_in_a_rule_is_noticed_by_a_test_of_it() {
    let trials: Vec<_> = trials_of_alerts().into_iter().chain(trials_of_recordings()).collect();
    for trial in &trials {
        for rule in list(&trial.rules["groups"][0]["rules"]) {
            let text = rule["expr"].as_str().unwrap();
            let parsed = promql_parser::parser::parse(text);
            assert!(parsed.is_ok(), "{}: a mistake that Prometheus itself would notice is none: {text}", trial.rule);
        }
    }
    let survivors = survivors(&trials);
    let mut faults = Vec::new();
    let mut needless: BTreeSet<_> = EQUIVALENT.iter().collect();
    for (number, trial) in trials.iter().enumerate() {
        match (&trial.mistake, survivors.contains(&number)) {
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
    assert!(faults.is_empty(), "{} of {mistakes} mistakes:\n{}", faults.len(), faults.join("\n"));
}
