//! A program under test, as a process of its own on a core of its own.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

/// Connections to the database, the same number for each program.
const DATABASE_CONNECTIONS: &str = "6";

/// A program that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Program {
    /// This service.
    Ours,
    /// Another build of this service, which `BASELINE` names.
    Baseline,
    /// axum, sqlx and jsonwebtoken alone.
    Bare,
    /// The same without sqlx's ping before each use of a connection.
    Unpinged,
    /// The same with off-the-shelf telemetry.
    Plain,
    /// chi, pgx, `client_golang`, slog and OpenTelemetry.
    Go,
}

impl Program {
    /// Those that can be put under load, and whose metrics can be scraped.
    pub(crate) const WHOLE: [Self; 5] = [Self::Ours, Self::Baseline, Self::Bare, Self::Plain, Self::Go];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "glasshouse",
            Self::Baseline => "glasshouse, BASELINE",
            Self::Bare => "bare",
            Self::Unpinged => "bare, no pings",
            Self::Plain => "plain",
            Self::Go => "Go",
        }
    }

    /// The executable, which `make bench-peers` builds.
    pub(crate) fn path(self) -> Option<PathBuf> {
        let built = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(name);
        match self {
            Self::Ours => Some(env!("CARGO_BIN_EXE_glasshouse").into()),
            Self::Baseline => super::setting("BASELINE").map(PathBuf::from),
            Self::Bare | Self::Unpinged => Some(built("release/bare")),
            Self::Plain => Some(built("release/plain")),
            Self::Go => Some(built("go")),
        }
    }
}

/// What servers share.
#[derive(Clone)]
pub(crate) struct Environment {
    /// The working directory, in which the service keeps its key.
    pub(crate) folder: PathBuf,
    /// The URL of the database.
    pub(crate) database: String,
    /// The core on which servers run.
    pub(crate) core: usize,
    /// `x` of the JWK that access tokens are checked with; unknown until the service has made its key.
    pub(crate) public_key: Option<String>,
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) metrics_url: String,
    child: Child,
}

impl Server {
    /// Starts a program and waits until it accepts connections. It exports all traces if there is a collector.
    pub(crate) fn start(program: Program, environment: &Environment, collector: Option<&str>) -> Self {
        // A client could not learn the port that the system chooses: the peers log no address.
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let (address, internal) = (free(), free());
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &environment.core.to_string()]);
        command.arg(program.path().expect("a program that is there"));
        command.env_clear().env("DATABASE_URL", &environment.database).current_dir(&environment.folder);
        let metrics_url = if matches!(program, Program::Ours | Program::Baseline) {
            command.envs([
                ("GLASSHOUSE_HTTP__LISTEN", address.to_string().as_str()),
                ("GLASSHOUSE_HTTP__MAX_CONNECTIONS", "8192"),
                ("GLASSHOUSE_INTERNAL__LISTEN", internal.to_string().as_str()),
                ("GLASSHOUSE_LIMITS__ENABLED", "false"),
                ("GLASSHOUSE_STORE__MAX_CONNECTIONS", DATABASE_CONNECTIONS),
            ]);
            format!("http://{internal}/metrics")
        } else {
            let public_key = environment.public_key.as_ref().expect("the service has made its key");
            command.envs([
                ("LISTEN", address.to_string().as_str()),
                ("MAX_CONNECTIONS", DATABASE_CONNECTIONS),
                ("TOKEN_KEY", public_key),
                ("TEST_BEFORE_ACQUIRE", if program == Program::Unpinged { "false" } else { "true" }),
            ]);
            format!("http://{address}/metrics")
        };
        if let Some(collector) = collector {
            command.envs([
                ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
                ("OTEL_BSP_SCHEDULE_DELAY", "500"),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "8192"),
                ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1024"),
            ]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("taskset and the program are there");
        let log = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || log.split(b'\n').for_each(drop));
        while std::net::TcpStream::connect(address).is_err() {
            assert!(child.try_wait().expect("a child").is_none(), "{} ended", program.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { address, metrics_url, child }
    }

    /// Registers a user, signs in, and returns the access token.
    pub(crate) async fn sign_in(&self) -> String {
        let client = reqwest::Client::new();
        let url = |path: &str| format!("http://{}{path}", self.address);
        while !client.get(url("/health/ready")).send().await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let user = json!({ "email": "bench@example.com", "password": "a fine password", "name": "Bench" });
        client.post(url("/api/v1/users")).json(&user).send().await.expect("an answer");
        let credentials = json!({ "email": "bench@example.com", "password": "a fine password" });
        let answer = client.post(url("/api/v1/auth/sign-in")).json(&credentials).send().await.expect("an answer");
        let grant: Value = answer.json().await.expect("a grant");
        grant["access_token"].as_str().expect("a token").to_owned()
    }

    /// CPU time so far, user and system, in seconds; in steps of 10 ms.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the server runs");
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }

    /// Memory in use now, in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server runs");
        field(&status, "VmRSS:") / 1024.0
    }

    /// What each thread has used so far.
    pub(crate) fn threads(&self) -> Threads {
        let folder = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the server runs");
        let threads = folder.flatten().filter_map(|thread| {
            let read = |file: &str| fs::read_to_string(thread.path().join(file)).ok();
            let nanoseconds = read("schedstat")?.split(' ').next()?.parse::<f64>().ok()?;
            let status = read("status")?;
            let switches = field(&status, "\nvoluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:");
            Some((thread.file_name().into_string().ok()?, (nanoseconds / 1e6, switches)))
        });
        Threads(threads.collect())
    }
}

/// CPU time and context switches of threads, by their ids. Finer than [`Server::cpu_seconds`], and without threads that
/// have ended.
pub(crate) struct Threads(HashMap<String, (f64, f64)>);

impl Threads {
    /// CPU time in ms, and context switches, since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> (f64, f64) {
        self.0.iter().fold((0.0, 0.0), |(cpu, switches), (id, now)| {
            let before = earlier.0.get(id).copied().unwrap_or_default();
            (cpu + now.0 - before.0, switches + now.1 - before.1)
        })
    }
}

/// The number after a name in a file of proc(5).
fn field(text: &str, name: &str) -> f64 {
    let value = text.split_once(name).and_then(|(_, rest)| rest.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).expect("a number")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
