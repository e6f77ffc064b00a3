//! A real PostgreSQL for tests: the one that `TEST_DATABASE_URL` names, else a cluster of our own from the server
//! binaries of this machine, also when the user is root. Where there is neither, tests fail and say what to install.

#![allow(clippy::disallowed_methods, reason = "TEST_DATABASE_URL is a setting of the tests and of nothing else")]
#![allow(clippy::unwrap_used, reason = "a test that has no server is to fail")]
#![allow(dead_code, reason = "several test binaries share this file, and few stop a server to start it again")]
#![allow(unreachable_pub, reason = "several test binaries share this file, and some hand it on")]

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};
use url::Url;

/// What to say where there is no server.
const MISSING: &str = "no PostgreSQL: install its server (Debian: apt-get install postgresql) or set TEST_DATABASE_URL";

/// How long a cluster may take to answer, on a machine that is busy with other tests.
const STARTING: Duration = Duration::from_mins(1);

/// The server runs as a child of a shell that reads a pipe whose other end this process holds: a word stops the server
/// or starts it again. However the process ends, the shell sees the end of the pipe, stops the server and removes its
/// files.
const SUPERVISOR: &str = r#"
server=$1 folder=$2; shift 2
start() { "$server" -D "$folder/data" "$@" >>"$folder/log" 2>&1 & }
stop() { kill -CONT $! 2>/dev/null; kill "-$1" $! 2>/dev/null; wait $!; rm -f "$folder/data/postmaster.pid"; }
start "$@"
while read -r word; do
    case $word in
    stop) stop INT ;;
    start) start "$@" ;;
    esac
done
stop QUIT; rm -rf "$folder""#;

/// A server.
pub struct Postgres {
    /// With a user who may make databases.
    url: Url,
    /// Absent if the server is not ours.
    cluster: Option<Cluster>,
    databases: AtomicU32,
}

/// A server of our own; ends when its supervisor's pipe does.
struct Cluster {
    folder: PathBuf,
    supervisor: Child,
}

impl Postgres {
    /// The server that all tests of this process share.
    pub fn get() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => Self::at(url.parse().expect("TEST_DATABASE_URL must be a URL"), None),
            Err(_) => Self::start(&[]),
        })
    }

    /// A server of the caller's own, with further settings such as `("log_statement", "all")`. It ends with the value.
    pub fn start(extra: &[(&str, &str)]) -> Self {
        let binaries = binaries().expect(MISSING);
        // Nobody's port is free for long: another process may take it between our asking and the server's binding.
        let started = (0..5).find_map(|_| Self::try_start(&binaries, extra, None));
        started.expect("five ports were taken before the server was up")
    }

    /// A server that follows this one and takes over when it is promoted.
    pub fn standby(&self, extra: &[(&str, &str)]) -> Self {
        let binaries = binaries().expect(MISSING);
        let started = (0..5).find_map(|_| Self::try_start(&binaries, extra, Some(&self.url)));
        started.expect("five ports were taken before the standby was up")
    }

    fn at(url: Url, cluster: Option<Cluster>) -> Self {
        Self { url, cluster, databases: AtomicU32::new(0) }
    }

    fn try_start(binaries: &Path, extra: &[(&str, &str)], primary: Option<&Url>) -> Option<Self> {
        let owner =
            is_root().then(|| account("postgres").or_else(|| account("nobody")).expect("root needs one of them"));
        let folder = tempfile::Builder::new().prefix("glasshouse-postgres-").tempdir().unwrap().keep();
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let command = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir(&folder).env("LC_ALL", "C.UTF-8");
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };

        let mut making = match primary {
            None => {
                let mut initdb = command(&binaries.join("initdb"));
                initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D"]);
                initdb
            }
            Some(primary) => {
                let mut copy = command(&binaries.join("pg_basebackup"));
                copy.args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "-d", primary.as_str(), "-D"]);
                copy
            }
        };
        let made = making.arg(folder.join("data")).output().unwrap();
        assert!(made.status.success(), "the files of a server: {}", String::from_utf8_lossy(&made.stderr));

        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut supervisor = command(Path::new("/bin/sh"));
        supervisor.args(["-c", SUPERVISOR, "sh"]).arg(binaries.join("postgres")).arg(&folder);
        let port_text = port.to_string();
        let settings = [
            ("listen_addresses", "127.0.0.1"),
            ("port", port_text.as_str()),
            ("unix_socket_directories", ""),
            ("max_connections", "300"),
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("max_wal_size", "4GB"),
        ];
        for (name, value) in settings.iter().chain(extra) {
            supervisor.arg("-c").arg(format!("{name}={value}"));
        }
        // A group of its own, so that the interrupt key in a terminal does not end it before the tests.
        let supervisor = supervisor.stdin(Stdio::piped()).process_group(0).spawn().unwrap();

        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres").parse().unwrap();
        let this = Self::at(url, Some(Cluster { folder, supervisor }));
        let began = Instant::now();
        while !this.is_ready() {
            if this.log().contains("could not bind") {
                return None;
            }
            assert!(began.elapsed() < STARTING, "PostgreSQL did not start:\n{}", this.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(this)
    }

    /// Stops the server as an operator would: who is connected is cut off, who comes is refused.
    ///
    /// # Panics
    /// If the server is not ours.
    pub fn stop(&mut self) {
        self.tell("stop");
        self.wait("stop", |this| !this.notes().exists());
    }

    /// Starts the server again, on the same port with the same data.
    ///
    /// # Panics
    /// If the server is not ours, or does not come up.
    pub fn start_again(&mut self) {
        self.tell("start");
        self.wait("start again", Self::is_ready);
    }

    /// Ends every process of the server at once, as a machine does that loses its power; its files stay.
    ///
    /// # Panics
    /// If the server is not ours.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.stop();
    }

    /// Sends a signal by its name, such as `STOP`, to every process of the server.
    ///
    /// # Panics
    /// If the server is not ours, or does not run.
    pub fn signal(&self, name: &str) {
        // Stopped, the one that makes the others makes no further ones.
        let before = self.processes();
        send("STOP", &before[before.len() - 1..]);
        send(name, &self.processes());
    }

    /// Has every process of the server stand still until the value is dropped: connections stay, new ones are even
    /// taken by the kernel, and nobody answers.
    ///
    /// # Panics
    /// If the server is not ours, or does not run.
    pub fn pause(&self) -> Paused {
        self.signal("STOP");
        Paused(self.processes())
    }

    fn tell(&mut self, word: &str) {
        let cluster = self.cluster.as_mut().expect("only a server of our own is stopped and started");
        writeln!(cluster.supervisor.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < STARTING, "PostgreSQL did not {what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The file that names the server's process, and says whether it is ready.
    fn notes(&self) -> PathBuf {
        let cluster = self.cluster.as_ref().expect("only a server of our own can be looked into");
        cluster.folder.join("data/postmaster.pid")
    }

    /// Whether it takes connections: it notes so in the file that names its process.
    fn is_ready(&self) -> bool {
        let notes = fs::read_to_string(self.notes()).unwrap_or_default();
        notes.lines().nth(7).is_some_and(|status| matches!(status.trim(), "ready" | "standby"))
    }

    /// Where its databases are asked for, by a user who may do anything.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The first of its processes and all that it has made.
    ///
    /// # Panics
    /// If the server is not ours, or does not run.
    pub fn processes(&self) -> Vec<String> {
        let notes = fs::read_to_string(self.notes()).unwrap();
        let first = notes.lines().next().unwrap().to_owned();
        let mut processes = children(&first);
        processes.push(first);
        processes
    }

    /// A fresh database; its URL.
    pub async fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Relaxed);
        let mut name = format!("glasshouse_test_{}", std::process::id());
        write!(name, "_{number}").unwrap();
        let mut connection = PgConnectOptions::from_url(&self.url).unwrap().connect().await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        connection.close().await.unwrap();
        let mut url = self.url.clone();
        url.set_path(&name);
        url.into()
    }

    /// What the server has logged so far.
    ///
    /// # Panics
    /// If the server is not ours.
    pub fn log(&self) -> String {
        let cluster = self.cluster.as_ref().expect("only the log of a server of our own can be read");
        let log = fs::read(cluster.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

/// A server that stands still.
pub struct Paused(Vec<String>);

impl Drop for Paused {
    fn drop(&mut self) {
        send("CONT", &self.0);
    }
}

/// One that is gone has nothing to be told.
fn send(signal: &str, processes: &[String]) {
    let sent = Command::new("kill").arg(format!("-{signal}")).args(processes).stderr(Stdio::null()).status();
    sent.unwrap();
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().ok();
    }
}

/// What that process has started and is still there.
fn children(process: &str) -> Vec<String> {
    let listed = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listed.split_whitespace().map(str::to_owned).collect()
}

/// The folder of the newest server's programs: Debian keeps it off the PATH.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse::<u32>().ok()?, version.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").exists())
        .max();
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| folder.join("initdb").exists());
    newest.map(|(_, folder)| folder).or_else(on_path)
}

/// PostgreSQL refuses to run as root.
fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.and_then(|uids| uids.split_whitespace().nth(1)) == Some("0")
}

fn account(name: &str) -> Option<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name)?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}
