//! The runbook as a whole: which pages there are, and that none of them promises what does not work.

mod guides;
mod pages;
mod pasted;

use std::{fs, path::Path};

use crate::diagnosis::DIAGNOSES;

/// Guides whose commands stand alone: they are pasted one by one at a stack that has been busy.
const PASTED: &[&str] = &[
    "README",
    "capacity",
    "dependencies",
    "game-day",
    "leaking-tasks",
    "load-testing",
    "pool-tuning",
    "rate-limits",
    "reading-a-trace",
    "tokio-console",
    "when-the-database-fails",
];

/// Guides that are gone through from the first command to the last.
const GONE_THROUGH: &[&str] =
    &["audit-trail", "backup-and-restore", "migrations", "rotating-keys", "starting-and-stopping"];

/// Guides with a test of their own in this folder's parent.
const ELSEWHERE: &[&str] = &["profiling"];

/// Commands that are shown and cannot be pasted by a test, and who runs them.
const ONLY_SHOWN: &[(&str, &str, &str)] = &[
    ("game-day", "make gameday", "takes minutes a fault: tests/gameday/ is what it runs, and CI runs it"),
    ("game-day", "make stack-local", "goes on until somebody ends it: tests/support/stack/ is what it starts"),
    ("game-day", "DURATION=1h make load", "takes an hour: tests/operate/loadtest.rs runs the journey for seconds"),
    ("profiling", "go tool pprof -disasm", "reads the executable that burns: tests/profiles/addresses.rs runs it"),
    ("profiling", "kill -QUIT", "names a process: tests/process/stopping.rs sends it"),
    ("starting-and-stopping", "curl -s localhost", "asks a proxy: tests/operate/fleet.rs has one, and asks it"),
    ("tokio-console", "cargo install", "compiles for minutes: scripts/test-setup does it once"),
    (
        "tokio-console",
        "tokio-console",
        "takes the terminal: tests/clients/console.rs gives it one, and reads the screen",
    ),
];

fn alerts() -> impl Iterator<Item = &'static str> {
    DIAGNOSES.iter().map(|(alert, _)| *alert)
}

/// Every page and guide that there is, by the name of its file.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = files.map(|file| file.trim_end_matches(".md").to_owned()).collect();
    names.sort();
    names
}

fn text(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook").join(name).with_extension("md");
    fs::read_to_string(file).unwrap()
}
