//! The executable, running in a folder of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::canaries::Canaries;

/// The executable with nothing of this environment but what is given.
pub(crate) fn command(arguments: &[&str], environment: &[(&str, &str)], folder: &TempDir) -> Command {
    command_of(&[EXECUTABLE], arguments, environment, folder)
}

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_glasshouse");

fn command_of(words: &[&str], arguments: &[&str], environment: &[(&str, &str)], folder: &TempDir) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(arguments).env_clear().envs(environment.iter().copied()).current_dir(folder.path());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = TempDir::new().unwrap();
    command(arguments, environment, &folder).stdin(Stdio::null()).output().unwrap()
}

/// A service that has said where it listens.
pub(crate) struct Program {
    pub(crate) public: SocketAddr,
    pub(crate) internal: SocketAddr,
    pub(crate) folder: Arc<TempDir>,
    child: Child,
    lines: Arc<Mutex<Vec<(Instant, Value)>>>,
    ended: mpsc::Receiver<()>,
}

/// How it ended, and everything it logged.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<Value>,
}

impl Program {
    /// Starts it on ports that the system chooses, and waits until it is ready.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_in(TempDir::new().unwrap(), environment)
    }

    pub(crate) fn start_in(folder: TempDir, environment: &[(&str, &str)]) -> Self {
        Self::launch(&[EXECUTABLE], folder, environment)
    }

    /// Starts it by another program that becomes it, such as `env --ignore-signal=HUP`.
    pub(crate) fn start_by(launcher: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::launch(&[launcher, &[EXECUTABLE]].concat(), TempDir::new().unwrap(), environment)
    }

    /// Starts a copy of it.
    pub(crate) fn start_executable(executable: &Path, environment: &[(&str, &str)]) -> Self {
        Self::launch(&[executable.to_str().unwrap()], TempDir::new().unwrap(), environment)
    }

    /// Starts it with a limit as `ulimit` writes it: `-n 500` for open files.
    pub(crate) fn start_with_limit(limit: &str) -> Self {
        let script = format!("ulimit {limit} && exec \"$0\"");
        Self::start_by(&["sh", "-c", &script], &[])
    }

    fn launch(words: &[&str], folder: TempDir, environment: &[(&str, &str)]) -> Self {
        let ports = [("GLASSHOUSE_HTTP__LISTEN", "127.0.0.1:0"), ("GLASSHOUSE_INTERNAL__LISTEN", "127.0.0.1:0")];
        // Every test is one address.
        let usual = [("GLASSHOUSE_SHUTDOWN__NOTICE", "0s"), ("GLASSHOUSE_LIMITS__ENABLED", "false")];
        let environment: Vec<_> = [&ports[..], &usual[..], environment].concat();
        let mut child = command_of(words, &[], &environment, &folder).stdout(Stdio::piped()).spawn().unwrap();
        let lines: Arc<Mutex<Vec<(Instant, Value)>>> = Arc::default();
        let (ending, ended) = mpsc::channel();
        let (reader, kept) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&lines));
        let (started, addresses) = mpsc::channel();
        thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if line["message"] == "started" {
                    started.send((address(&line["server.address"]), address(&line["internal.address"]))).ok();
                }
                kept.lock().unwrap().push((Instant::now(), line));
            }
            drop(ending);
        });
        let (public, internal) = addresses.recv_timeout(Duration::from_secs(20)).expect("the line that says where");
        let program = Self { public, internal, folder: Arc::new(folder), child, lines, ended };
        until("it is ready", || get(program.internal, "/health/ready").is_some_and(|(status, _)| status == 200));
        program
    }

    /// A POST with a JSON body, over a connection of its own.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Option<(u16, String)> {
        exchange(self.public, &post(path, body))
    }

    /// Everything logged so far, with the moment at which it was read.
    pub(crate) fn lines(&self) -> Vec<(Instant, Value)> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end, which comes within three quarters of a minute, or the test fails.
    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + Duration::from_secs(45);
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {:?}", self.lines().last());
            thread::sleep(Duration::from_millis(5));
        };
        self.ended.recv_timeout(Duration::from_secs(10)).unwrap_err();
        let lines = self.lines().into_iter().map(|(_, line)| line).collect();
        Ended { code, lines }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if !thread::panicking() {
            for (_, line) in self.lines() {
                assert_eq!(Canaries::default().leak(&line.to_string()), None, "the log shows a secret");
            }
        }
    }
}

fn address(text: &Value) -> SocketAddr {
    text.as_str().unwrap().parse().unwrap()
}

/// Asks again and again, for at most ten seconds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A GET, over a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
}

/// The text of a POST that closes its connection.
pub(crate) fn post(path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request, reads the answer to its end; nothing if the connection is refused or cut.
pub(crate) fn exchange(address: SocketAddr, request: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some((status, body.to_owned()))
}
