//! A program of the compose, really running, on ports of this machine that are free.

use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::support::eventually;

/// It ends when the pipe does, whose other end this process holds: also when this process is killed.
const SUPERVISOR: &str = r#""$@" & cat >/dev/null; kill -KILL $!; wait"#;

/// A program that ends with the value.
pub(super) struct Running {
    supervisor: Child,
    written: Arc<Mutex<String>>,
}

impl Running {
    /// Starts it, with this environment and PATH and nothing else.
    pub(super) fn start(program: &Command, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISOR, "sh"]).arg(program.get_program()).args(program.get_args());
        if let Some(folder) = program.get_current_dir() {
            command.current_dir(folder);
        }
        command.env_clear().envs(environment.iter().copied());
        let mut supervisor =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let written = Arc::<Mutex<String>>::default();
        read(supervisor.stdout.take().unwrap(), &written);
        read(supervisor.stderr.take().unwrap(), &written);
        Self { supervisor, written }
    }

    /// Everything that it has written so far.
    pub(super) fn written(&self) -> String {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this answers with success.
    pub(super) async fn answers(&self, url: &str) {
        let client = reqwest::Client::new();
        let asked = eventually(url, async || client.get(url).send().await.ok()?.error_for_status().ok());
        asked.await;
    }
}

/// Keeps every line, to the end, because a full pipe would stop the program.
fn read(pipe: impl Read + Send + 'static, written: &Arc<Mutex<String>>) {
    let written = Arc::clone(written);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written.push_str(&line);
            written.push('\n');
        }
    });
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().ok();
    }
}

/// Addresses that are free now, all at once, for programs that do not say which port they were given.
pub(super) fn free<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
