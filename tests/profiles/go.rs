//! Go's own reader of profiles, which no code of ours is in.

use std::process::Command;

use tempfile::TempDir;

use crate::tool::{output, program};

/// What `go tool pprof` prints with these options for that address or file; fails with what it complains of.
pub(crate) async fn pprof(options: &[&str], source: &str) -> String {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(program("go"));
    command.args(["tool", "pprof"]).args(options).arg(source);
    // It keeps every profile that it fetches. Its home it needs: Go builds the tool at its first use, and keeps that.
    command.env("PPROF_TMPDIR", folder.path()).current_dir(folder.path());
    let said = output(command, "").await;
    let (text, errors) = (String::from_utf8(said.stdout).unwrap(), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{source}: {text}{errors}");
    text
}

/// The number before `unit` in the column (`flat` is 0, `cum` is 3) of the line that tells of a function.
pub(crate) fn number(top: &str, function: &str, column: usize, unit: &str) -> f64 {
    let line = top.lines().find(|line| line.contains(function)).unwrap_or_else(|| panic!("no {function} in:\n{top}"));
    let text = line.split_whitespace().nth(column).unwrap();
    text.strip_suffix(unit).unwrap_or(text).parse().unwrap_or_else(|_| panic!("{text} is no number of {unit}: {line}"))
}
