//! A program beside this process that never outlives it.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use tokio::{sync::mpsc, time::timeout};

use super::STARTING;

/// The program is a child of a shell that waits on a pipe whose other end this process holds: however this process ends,
/// the shell sees the end of the pipe and kills the program. It says the program's number on stderr.
const SUPERVISOR: &str = r#"
eval "$1"
shift
"$@" &
echo "supervised $!" >&2
exec >/dev/null 2>&1
cat
kill -KILL $!
wait"#;

/// How many of its last lines are kept, to be shown when it fails.
const KEPT: usize = 30;

/// A program that runs until the value is dropped or it is told to end.
pub(crate) struct Process {
    /// Its number, for signals and for /proc.
    pub(crate) id: u32,
    supervisor: Child,
    output: Arc<Output>,
}

/// What it has written lately, and whether what comes is left unread, as by a collector of logs that hangs.
#[derive(Default)]
struct Output {
    last: Mutex<VecDeque<String>>,
    held: Mutex<bool>,
    changed: Condvar,
}

/// What is to be started, where, and with what environment; nothing of this process's own but PATH.
pub(crate) struct Program<'a> {
    pub(crate) file: &'a Path,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: &'a [(String, String)],
    pub(crate) folder: &'a Path,
    pub(crate) limits: Limits,
}

/// What the kernel lets a program have, where it is less than this process may.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// In KiB: what is written to and not of a file, which is the heap and the stacks.
    pub(crate) data_kib: Option<u32>,
}

impl Limits {
    /// As a shell sets them for itself and what it starts.
    fn script(self) -> String {
        let data = self.data_kib.map(|most| format!("ulimit -d {most}\n"));
        // A file that may not grow fails a write, as on a disk that is full, and ends nobody.
        let grown = "trap '' XFSZ\n".to_owned();
        std::iter::once(grown).chain(data).collect()
    }
}

impl Program<'_> {
    /// Starts it and waits for the line, of either output, in which it says what is looked for.
    pub(crate) async fn start<T: Send + 'static>(
        self,
        said: impl Fn(&str) -> Option<T> + Clone + Send + 'static,
    ) -> (Process, T) {
        let mut supervisor = self.command().spawn().unwrap();
        let output = Arc::<Output>::default();
        let (number, mut numbers) = mpsc::channel(1);
        let (answer, mut answers) = mpsc::channel(1);
        let told = {
            let (said, answer) = (said.clone(), answer.clone());
            move |line: &str| match line.strip_prefix("supervised ").and_then(|number| number.parse::<u32>().ok()) {
                Some(id) => drop(number.try_send(id)),
                None => said(line).map_or((), |found| drop(answer.try_send(found))),
            }
        };
        let written = move |line: &str| said(line).map_or((), |found| drop(answer.try_send(found)));
        let (errors, lines) = (supervisor.stderr.take().unwrap(), supervisor.stdout.take().unwrap());
        let kept = Arc::clone(&output);
        thread::spawn(move || kept.read(errors, told));
        let kept = Arc::clone(&output);
        thread::spawn(move || kept.read(lines, written));

        let name = self.file.display();
        let id = numbers.recv().await.unwrap_or_else(|| panic!("{name} was not started"));
        let process = Process { id, supervisor, output };
        match timeout(STARTING, answers.recv()).await {
            Ok(Some(found)) => (process, found),
            _ => panic!("{name} did not come up:\n{}", process.last_lines()),
        }
    }

    fn command(&self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "where programs are is no setting of the service")]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISOR, "sh"]).arg(self.limits.script());
        command.arg(self.file).args(&self.arguments).current_dir(self.folder);
        command.env_clear().env("PATH", path).envs(self.environment.iter().map(|(name, value)| (name, value)));
        // A group of its own: the interrupt key in a terminal is for this process, which ends the others in their order.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Output {
    /// Reads to the end, because a full pipe would stop the program, unless just that is wanted.
    fn read(&self, pipe: impl Read, mut heard: impl FnMut(&str)) {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            heard(&line);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == KEPT {
                last.pop_front();
            }
            last.push_back(line);
            drop(last);
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.changed.wait_while(held, |held| *held));
        }
    }
}

impl Process {
    /// Leaves what it writes unread from the next line on, or reads again.
    pub(crate) fn hold_output(&self, held: bool) {
        *self.output.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        self.output.changed.notify_all();
    }

    /// What it has written last.
    pub(crate) fn last_lines(&self) -> String {
        let last = self.output.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// Whether it has ended by itself; its supervisor fetches what is left of it later.
    pub(crate) fn has_ended(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        status.lines().find(|line| line.starts_with("State:")).is_none_or(|state| state.contains('Z'))
    }

    /// Sets its soft limit of open files; none for the hard limit.
    pub(crate) fn limit_open_files(&self, limit: Option<u32>) {
        let id = i32::try_from(self.id).ok().and_then(rustix::process::Pid::from_raw);
        let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let limits = rustix::process::Rlimit { current: limit.map(u64::from).or(hard), maximum: hard };
        rustix::process::prlimit(id, rustix::process::Resource::Nofile, limits).unwrap();
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.id.to_string()]).status();
        assert!(status.unwrap().success(), "kill -{name} {}", self.id);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().ok();
        self.hold_output(false);
    }
}
