//! A service without requests sleeps: each wake takes CPU time from other processes of the machine.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::program::Program;

/// How long it is watched at a time.
const WINDOW: Duration = Duration::from_secs(2);
/// A hundred in ten seconds.
const MOST_SWITCHES: u64 = 20;

/// Context switches of all threads so far: proc(5).
fn switches(program: &Program) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
    // A thread may end meanwhile.
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok());
    statuses.map(|status| status.lines().filter_map(of_line).sum::<u64>()).sum()
}

fn of_line(line: &str) -> Option<u64> {
    let (name, value) = line.split_once(':')?;
    name.ends_with("ctxt_switches").then(|| value.trim().parse().unwrap())
}

#[test]
fn service_without_requests_hardly_wakes() {
    let program = Program::start(&[]);
    // After the start some things still settle, and a busy machine interrupts whatever runs.
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let before = switches(&program);
        thread::sleep(WINDOW);
        let count = switches(&program).saturating_sub(before);
        if count <= MOST_SWITCHES {
            break;
        }
        assert!(Instant::now() < deadline, "{count} context switches in {WINDOW:?}");
    }
}
