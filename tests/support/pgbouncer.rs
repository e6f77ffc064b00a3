//! A real `PgBouncer` for tests, in transaction mode in front of a PostgreSQL.

#![allow(clippy::disallowed_methods, reason = "PATH is asked where the program is")]
#![allow(clippy::unwrap_used, reason = "a test that has no pooler is to fail")]
#![allow(dead_code, reason = "several test binaries share this file, and not all call everything")]
#![allow(unreachable_pub, reason = "several test binaries share this file, and some hand it on")]

use std::{
    fmt::Write as _,
    fs,
    net::{TcpListener, TcpStream},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use url::Url;

/// What to say where there is none.
const MISSING: &str = "no PgBouncer: scripts/test-setup unpacks it, or put pgbouncer on PATH";

/// How long it may take to listen, on a machine that is busy with other tests.
const STARTING: Duration = Duration::from_mins(1);

/// The pooler is a child of a shell that reads a pipe whose other end this process holds: however this process ends, the
/// shell sees the end of the pipe and kills the pooler.
const SUPERVISOR: &str = r#"
"$@" &
cat
kill -KILL $!
wait"#;

/// What it is told unless a test says otherwise. Sessions are PostgreSQL's only for a transaction; no parameter is
/// swallowed, so that what it would refuse in production is refused here.
const SETTINGS: [(&str, &str); 7] = [
    ("listen_addr", "127.0.0.1"),
    ("unix_socket_dir", ""),
    ("auth_type", "any"),
    ("pool_mode", "transaction"),
    ("default_pool_size", "4"),
    ("max_client_conn", "200"),
    ("server_login_retry", "1"),
];

/// A pooler; ends with the value.
pub struct PgBouncer {
    /// Of the same database, by way of the pooler.
    url: Url,
    folder: TempDir,
    supervisor: Child,
}

impl PgBouncer {
    /// In front of the server that this URL names, with further settings such as `("default_pool_size", "1")`.
    pub fn start(direct: &str, extra: &[(&str, &str)]) -> Self {
        // Nobody's port is free for long: another process may take it between our asking and the pooler's binding.
        let direct = direct.parse().unwrap();
        (0..5).find_map(|_| Self::try_start(&direct, extra)).expect("five ports were taken before the pooler was up")
    }

    fn try_start(direct: &Url, extra: &[(&str, &str)]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::Builder::new().prefix("glasshouse-pgbouncer-").tempdir().unwrap();
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, configuration(direct, port, extra)).unwrap();

        let mut supervisor = Command::new("/bin/sh");
        supervisor.args(["-c", SUPERVISOR, "sh"]).arg(program().expect(MISSING)).arg(&file);
        // It refuses to be root, and can make itself somebody else once it has read its settings.
        if folder.path().metadata().unwrap().uid() == 0 {
            supervisor.arg("--user=nobody");
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        supervisor.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let supervisor = supervisor.spawn().unwrap();

        let mut url = direct.clone();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(port)).unwrap();
        let this = Self { url, folder, supervisor };
        let began = Instant::now();
        while !this.log().contains("process up") || TcpStream::connect(("127.0.0.1", port)).is_err() {
            if this.log().contains("ddress already in use") {
                return None;
            }
            assert!(began.elapsed() < STARTING, "PgBouncer did not start:\n{}", this.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(this)
    }

    /// The database's URL, by way of the pooler.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().ok();
    }
}

fn configuration(direct: &Url, port: u16, extra: &[(&str, &str)]) -> String {
    let (host, server_port) = (direct.host_str().unwrap(), direct.port().unwrap_or(5432));
    let mut text = format!("[databases]\n* = host={host} port={server_port} user={}", direct.username());
    if let Some(password) = direct.password() {
        write!(text, " password={password}").unwrap();
    }
    write!(text, "\n[pgbouncer]\nlisten_port = {port}\n").unwrap();
    for (name, value) in SETTINGS.iter().filter(|(name, _)| extra.iter().all(|(given, _)| given != name)).chain(extra) {
        writeln!(text, "{name} = {value}").unwrap();
    }
    text
}

/// Where `scripts/test-setup` put it, or an administrator: Debian keeps it off most users' PATH.
fn program() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(unpacked).chain(std::env::split_paths(&path)).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join("pgbouncer")).find(|file| file.exists())
}
