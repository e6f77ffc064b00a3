//! Standard output as others leave it: switched to non-blocking, or closed.

use std::{
    fs::File,
    io::{BufRead, BufReader, PipeReader},
    net::SocketAddr,
    os::fd::OwnedFd,
    process::{Child, Stdio},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{command, get, until};

/// A service whose standard output is a pipe that does not block.
struct Piped {
    public: SocketAddr,
    internal: SocketAddr,
    child: Child,
    lines: BufReader<PipeReader>,
    _folder: TempDir,
}

impl Piped {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let writer = File::from(OwnedFd::from(writer));
        fcntl_setfl(&writer, fcntl_getfl(&writer).unwrap() | OFlags::NONBLOCK).unwrap();
        let settings = [
            ("GLASSHOUSE_HTTP__LISTEN", "127.0.0.1:0"),
            ("GLASSHOUSE_INTERNAL__LISTEN", "127.0.0.1:0"),
            ("GLASSHOUSE_SHUTDOWN__NOTICE", "0s"),
            ("GLASSHOUSE_LIMITS__ENABLED", "false"),
        ];
        let child = command(&[], &settings, &folder).stdout(Stdio::from(writer)).spawn().unwrap();
        let mut lines = BufReader::new(reader);
        let started = loop {
            let line = read(&mut lines).expect("a line that says where");
            if line["message"] == "started" {
                break line;
            }
        };
        let address = |name: &str| started[name].as_str().unwrap().parse().unwrap();
        let (public, internal) = (address("server.address"), address("internal.address"));
        until("it is ready", || get(internal, "/health/ready").is_some_and(|(status, _)| status == 200));
        Self { public, internal, child, lines, _folder: folder }
    }

    fn dropped(&self) -> f64 {
        let metrics = get(self.internal, "/metrics").unwrap().1;
        let dropped = metrics.lines().find_map(|line| line.strip_prefix("glasshouse_log_lines_dropped_total "));
        dropped.unwrap().parse().unwrap()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read(lines: &mut BufReader<PipeReader>) -> Option<Value> {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

#[test]
fn stdout_that_does_not_block_loses_no_line() {
    let mut program = Piped::start();
    // Several times the pipe's 64 KiB, while nothing reads.
    let requests = 500;
    for _ in 0..requests {
        assert_eq!(get(program.public, "/nowhere").unwrap().0, 404);
    }
    let mut seen = 0;
    while seen < requests {
        let line = read(&mut program.lines).expect("every line comes without another one behind it");
        seen += usize::from(line["http.response.status_code"] == 404);
    }
    assert!(program.dropped().abs() < f64::EPSILON, "{}", program.dropped());
}

#[test]
fn closed_stdout_counts_every_line() {
    let mut program = Piped::start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(writer);
    drop(std::mem::replace(&mut program.lines, BufReader::new(reader)));
    let before = program.dropped();
    for _ in 0..20 {
        assert_eq!(get(program.public, "/nowhere").unwrap().0, 404);
    }
    until("each line is counted", || program.dropped() - before >= 20.0);
}
