//! A whole service in this process: its own store, ports, threads, registry and log.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    panic::{catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use glasshouse::{
    app::{App, Logging},
    config::{self, Sources},
    domain::Clock,
    telemetry::Output,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{Client, Collector, Postgres, canaries::Canaries, collector::Kept, leaks};

/// How long the end of a test waits for a service that does not answer, or does not end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether each test is held to leave nothing running. Those of other binaries, which share this file, plant leaks.
const LEAVES_NOTHING: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"service");

/// Which store a service keeps its users in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A running service. Stopped when dropped; [`Service::stop`] also says what it left behind.
pub(crate) struct Service {
    pub(crate) public: SocketAddr,
    pub(crate) internal: SocketAddr,
    /// The runtime that serves, so that a test can put something beside the requests.
    pub(crate) main: tokio::runtime::Handle,
    pub(super) store: glasshouse::store::Config,
    /// Made once: making one costs more than most requests.
    http: reqwest::Client,
    stops: mpsc::Sender<&'static str>,
    running: Option<JoinHandle<anyhow::Result<()>>>,
    /// Ends when the service has.
    ended: std::sync::mpsc::Receiver<()>,
    canaries: Canaries,
    /// What its collector keeps, if it exports to one of these tests.
    exported: Option<Kept>,
    log: Log,
    ahead: Arc<Mutex<TimeDelta>>,
    /// Once it was ready.
    pub(crate) at_rest: Option<leaks::AtRest>,
    _folder: TempDir,
}

/// What a service left behind.
pub(crate) struct Stopped {
    pub(crate) outcome: anyhow::Result<()>,
    /// Every log line, parsed.
    pub(crate) lines: Vec<Value>,
    /// Every byte of the log.
    pub(crate) log: String,
}

impl Service {
    /// A service on SQLite with the settings that tests want: ports chosen by the system, no time to notice.
    pub(crate) async fn start() -> Self {
        Self::start_with(Engine::Sqlite, &[]).await
    }

    /// On that store.
    pub(crate) async fn on(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// On that store, exporting to that collector.
    pub(crate) async fn observed(engine: Engine, collector: &Collector, more: &[(&str, &str)]) -> Self {
        let endpoint = collector.endpoint();
        let mut settings = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ];
        settings.extend_from_slice(more);
        let mut service = Self::start_with(engine, &settings).await;
        service.exported = Some(collector.kept());
        service
    }

    /// With settings of its own, as the environment would give them.
    pub(crate) async fn start_with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let database_url = match engine {
            Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
            Engine::Postgres => Postgres::get().database().await,
        };
        Self::start_on(folder, &database_url, settings).await
    }

    /// On a database that is somewhere already.
    pub(crate) async fn start_on(folder: TempDir, database_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut service = Self::started_on(folder, database_url, settings);
        service.ready().await;
        service.at_rest = Some(leaks::AtRest::now(&service.main));
        service
    }

    /// The same, without waiting until it is ready: only its ports are open.
    pub(crate) fn started_on(folder: TempDir, database_url: &str, settings: &[(&str, &str)]) -> Self {
        let key = folder.path().join("key.pem").display().to_string();
        let mut environment: Vec<(String, String)> = [
            ("DATABASE_URL", database_url),
            ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", key.as_str()),
            ("GLASSHOUSE_HTTP__LISTEN", "127.0.0.1:0"),
            ("GLASSHOUSE_INTERNAL__LISTEN", "127.0.0.1:0"),
            // The heap is sampled for the whole process, and other tests run in it.
            ("GLASSHOUSE_INTERNAL__HEAP_SAMPLING", "false"),
            // Every test is one address.
            ("GLASSHOUSE_LIMITS__ENABLED", "false"),
            ("GLASSHOUSE_LOG__FORMAT", "json"),
            ("GLASSHOUSE_RUNTIME__WORKERS", "2"),
            // On a machine that runs many tests at once, what is done in good time elsewhere takes longer.
            ("GLASSHOUSE_SHED__MAX_WAIT", "10s"),
            ("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "2"),
            ("GLASSHOUSE_AUTH__REFRESH_REUSE_INTERVAL", "60s"),
            ("GLASSHOUSE_SHUTDOWN__NOTICE", "0s"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        for (name, value) in settings {
            environment.retain(|(known, _)| known != name);
            environment.push(((*name).to_owned(), (*value).to_owned()));
        }
        let settings = config::load(&Sources::given(None, environment)).unwrap_or_else(|faults| panic!("{faults}"));

        let log = Log::default();
        let output = Output { writer: Box::new(log.clone()), is_terminal: false };
        let ahead = Arc::new(Mutex::new(TimeDelta::zero()));
        let clock = {
            let ahead = Arc::clone(&ahead);
            Clock::from_fn(move || now() + *ahead.lock().unwrap())
        };
        let (stops, requests) = mpsc::channel(2);
        let store = settings.store.clone();
        let app = App::build(settings, output, Logging::Threads).unwrap();
        let (public, internal) = (app.public_address().unwrap(), app.internal_address().unwrap());
        let main = app.main_runtime().clone();
        let (ending, ended) = std::sync::mpsc::channel();
        let running = std::thread::spawn(move || {
            let _ending: std::sync::mpsc::Sender<()> = ending;
            app.run(&clock, || Ok(requests))
        });
        Self {
            public,
            internal,
            main,
            store,
            http: reqwest::Client::new(),
            stops,
            running: Some(running),
            ended,
            canaries: Canaries::default(),
            exported: None,
            log,
            ahead,
            at_rest: None,
            _folder: folder,
        }
    }

    async fn ready(&self) {
        let url = format!("http://{}/health/ready", self.internal);
        super::eventually("the service is ready", async || {
            let reply = self.http.get(&url).send().await.ok()?;
            reply.status().is_success().then_some(())
        })
        .await;
    }

    /// A client that is nobody yet.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.http.clone(), self.public).minding(&self.canaries)
    }

    /// Lets the service's clock run ahead.
    pub(crate) fn pass(&self, time: TimeDelta) {
        *self.ahead.lock().unwrap() += time;
    }

    /// What the internal port answers there.
    pub(crate) async fn internal(&self, path: &str) -> reqwest::Response {
        self.ask(path).send().await.unwrap()
    }

    /// A request to the internal port, to be filled further.
    pub(crate) fn ask(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("http://{}{path}", self.internal))
    }

    /// The value of one series, by its exact text before the space.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let page = self.internal("/metrics").await.text().await.unwrap();
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// What has been logged so far, parsed.
    pub(crate) fn lines(&self) -> Vec<Value> {
        parsed(&self.log.text())
    }

    /// The first line of that target, once it is written.
    pub(crate) async fn line_of(&self, target: &str) -> Value {
        let find = async || self.lines().into_iter().find(|line| line["target"] == target);
        super::eventually("a line of that target is written", find).await
    }

    /// The one line that tells how the request of that id went.
    pub(crate) async fn line(&self, request_id: &str) -> Value {
        super::eventually("the request's line is written", async || {
            let of_request = |line: &Value| line["request_id"] == request_id && line["http.route"].is_string();
            self.lines().into_iter().find(of_request)
        })
        .await
    }

    /// Asks it to stop, waits until it has, and says what it left.
    pub(crate) async fn stop(mut self) -> Stopped {
        self.assert_secret_pages();
        if LEAVES_NOTHING {
            let (main, public, at_rest) = (self.main.clone(), self.public, self.at_rest);
            tokio::task::spawn_blocking(move || leaks::none_is_left(&main, public, at_rest)).await.unwrap();
        }
        self.stops.send("the test").await.unwrap();
        let running = self.running.take().unwrap();
        let outcome = tokio::task::spawn_blocking(move || running.join().unwrap()).await.unwrap();
        let log = self.log.text();
        self.assert_secret_log();
        Stopped { outcome, lines: parsed(&log), log }
    }
}

impl Service {
    /// No secret is on the pages that anybody reads who looks after it. By hand: when a value is dropped, nothing can be
    /// awaited. A port that does not answer shows nothing.
    fn assert_secret_pages(&self) {
        for path in ["/metrics", "/debug/config"] {
            let page = page(self.internal, path).unwrap_or_default();
            assert_eq!(self.canaries.leak(&page), None, "{path} shows a secret");
        }
    }

    /// Nor in its log, nor in what it exported.
    fn assert_secret_log(&self) {
        assert_eq!(self.canaries.leak(&self.log.text()), None, "the log shows a secret");
        let exported = self.exported.as_ref().map(Kept::everything).unwrap_or_default();
        assert_eq!(self.canaries.leak(&exported), None, "a span or a record shows a secret");
    }
}

fn page(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page).ok()?;
    Some(String::from_utf8_lossy(&page).into_owned())
}

impl Drop for Service {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        if !std::thread::panicking() {
            self.assert_secret_pages();
        }
        // It is stopped also where something is left.
        let left = (LEAVES_NOTHING && !std::thread::panicking())
            .then(|| catch_unwind(|| leaks::none_is_left(&self.main, self.public, self.at_rest)));
        self.stops.try_send("the end of the test").ok();
        self.stops.try_send("the end of the test").ok();
        if std::thread::panicking() {
            // A test that fails is told what went wrong inside; the last lines are written when the service has ended.
            running.join().ok();
            let text = self.log.text();
            let errors = text.lines().filter(|line| line.contains("\"level\":\"ERROR\""));
            #[expect(clippy::print_stderr, reason = "shown with the failure, and only then")]
            errors.for_each(|line| eprintln!("{line}"));
        } else {
            // The last lines are written when it has ended; one that a test has stuck for good is not waited for.
            self.ended.recv_timeout(PATIENCE).ok();
            self.assert_secret_log();
        }
        if let Some(Err(panic)) = left {
            resume_unwind(panic);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the service's clock is built here")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

fn parsed(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// A log that stays in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("the log is UTF-8")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
