//! One real run that all live proofs share: load, faults and strangers, on a stack that watches them.

use std::{collections::BTreeMap, io::Write, net::TcpStream, process::Command, sync::LazyLock, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    loadtest::k6,
    queries,
    stack::{Options, Postgres, STARTING, Scale, Stack, within},
    support::Collector,
    tool,
    vocabulary::Known,
};

/// The statement that is slow for a while: the one that recognises who asks.
pub(crate) const SLOW_STATEMENT: &str = "SELECT sessions";
/// How slow it is.
pub(crate) const DELAY: Duration = Duration::from_millis(300);

/// Rules run this much faster than in production: five minutes are ten seconds, in which there are twenty scrapes.
const SCALE: Scale = Scale { factor: 30.0, scrape: Duration::from_millis(500) };

/// How far apart the points of a panel are.
const STEP_SECONDS: f64 = 0.5;

const ADMIN: (&str, &str) = ("admin@example.com", "an admin's password");

/// What is left of the run: everything that was seen, and who saw it, still running.
pub(crate) struct Scene {
    pub(crate) stack: Stack,
    pub(crate) collector: Collector,
    /// From when until when, in Prometheus' own time.
    pub(crate) window: (f64, f64),
    /// The part of it in which nothing but a statement was wrong.
    pub(crate) slow: (f64, f64),
    pub(crate) known: Known,
    runtime: Runtime,
}

/// The scene. Whoever asks first waits for it to be played.
pub(crate) static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let (stack, collector, window, slow, known) = runtime.block_on(play());
    Scene { stack, collector, window, slow, known, runtime }
});

impl Scene {
    /// Waits for that, on the scene's own threads.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The series that a query has within the run, each with its values.
    pub(crate) async fn range(&self, query: &str) -> Vec<Value> {
        let (from, to) = self.window;
        // The last step is the end itself, up to which everything was waited for.
        let start = to - ((to - from) / STEP_SECONDS).floor() * STEP_SECONDS;
        let (start, end, step) = (start.to_string(), to.to_string(), STEP_SECONDS.to_string());
        let asked = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        let answer = self.stack.prometheus.api().ask("query_range", &asked).await;
        answer.and_then(|data| data["result"].as_array().cloned()).unwrap_or_default()
    }
}

async fn play() -> (Stack, Collector, (f64, f64), (f64, f64), Known) {
    let collector = Collector::start().await;
    let endpoint = collector.endpoint();
    let database = tokio::task::spawn_blocking(Postgres::get).await.unwrap().database().await;
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("GLASSHOUSE_FAULTS__ALLOWED", "true"),
        // What hangs is given up within the run, and so is waiting for a connection.
        ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "4s"),
        ("GLASSHOUSE_STORE__ACQUIRE_TIMEOUT", "1s"),
    ];
    let mut stack = Stack::start(Options::alerting(&settings, SCALE)).await;
    let began = now(&stack).await;
    let admin = admin(&database).await;
    assert!(admin.status.success(), "{}", String::from_utf8_lossy(&admin.stderr));

    let (run, slow) = tokio::join!(load(&stack), disturb(&stack));
    let summary = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(summary.contains("journeys and"), "k6 has run: {summary}{}", String::from_utf8_lossy(&run.stderr));

    let woken = "ALERTS{alertstate=\"firing\", severity=~\"page|ticket\", job=\"glasshouse\"}";
    until(&stack, "somebody is woken", woken).await;
    stack.glasshouse.kill();
    stack.glasshouse.start_again().await;
    stack.ready().await;
    until(&stack, "the restart is seen", "changes(process_start_time_seconds{job=\"glasshouse\"}[1m]) > 0").await;
    let window = (began, now(&stack).await);
    let known = known(&stack, window).await;
    (stack, collector, window, slow, known)
}

/// An admin, so that accounts are listed too.
async fn admin(database: &str) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glasshouse"));
    let folder = tempfile::TempDir::new().unwrap();
    command.env("DATABASE_URL", database).current_dir(folder.path());
    command.args(["user", "create", "--email", ADMIN.0, "--name", "Admin", "--admin", "--password-stdin"]);
    tool::output(command, format!("{}\n", ADMIN.1)).await
}

/// k6, which writes what it sees into the same Prometheus.
async fn load(stack: &Stack) -> std::process::Output {
    let folder = tempfile::TempDir::new().unwrap();
    let (base, place) = (format!("http://{}", stack.glasshouse.public), folder.path().display().to_string());
    let variables = [
        ("BASE_URL", base.as_str()),
        ("PROFILE", "ci"),
        ("DURATION", "25s"),
        ("RATE", "4"),
        ("SUMMARY_DIR", &place),
        ("ADMIN_EMAIL", ADMIN.0),
        ("ADMIN_PASSWORD", ADMIN.1),
    ];
    let mut command = k6(&["run", "--quiet", "--out", "experimental-prometheus-rw"], &variables);
    command
        .env("K6_PROMETHEUS_RW_SERVER_URL", format!("http://{}/api/v1/write", stack.prometheus.address))
        .env("K6_PROMETHEUS_RW_PUSH_INTERVAL", "1s");
    tool::output(command, "").await
}

/// What goes wrong meanwhile, one thing after the other, each until Prometheus has seen it. Returns from when until when
/// it was a statement alone.
async fn disturb(stack: &Stack) -> (f64, f64) {
    let me = "/api/v1/users/me";
    until(stack, "there is load", &format!("http_server_request_duration_seconds_count{{http_route=\"{me}\"}} > 20"))
        .await;

    strangers(stack).await;

    let slow_from = now(stack).await;
    // Not all of them, or the pool would be what is slow.
    inject(stack, &json!([{"fault": "delay", "for": "300ms", "statement": SLOW_STATEMENT, "share": 0.3}])).await;
    let slow = format!(
        "sum(db_client_operation_duration_seconds_count{{db_query_summary=\"{SLOW_STATEMENT}\"}}) \
         - sum(db_client_operation_duration_seconds_bucket{{db_query_summary=\"{SLOW_STATEMENT}\", le=\"0.1\"}}) > 10"
    );
    until(stack, "a statement is slow", &slow).await;
    let slow = (slow_from, now(stack).await);

    let broken = json!([
        {"fault": "panic", "route": me, "share": 0.2},
        {"fault": "hang", "route": "/api/v1/users/{id}", "share": 0.1},
        {"fault": "error", "statement": "UPDATE sessions", "share": 0.5},
        {"fault": "blocked_worker", "workers": 1},
        {"fault": "task_leak", "per_second": 50},
        {"fault": "memory_leak", "per_second": "1MiB"},
        {"fault": "unreachable_collector"},
    ]);
    inject(stack, &broken).await;
    for fault in ["panic", "hang", "error", "unreachable_collector"] {
        let seen = format!("glasshouse_faults_injected_total{{fault=\"{fault}\"}} > 0");
        until(stack, &format!("{fault} is met"), &seen).await;
    }
    until(stack, "what hangs is given up", "http_server_request_duration_seconds_count{error_type=\"timeout\"} > 0")
        .await;

    inject(stack, &json!([{"fault": "refused_pool"}])).await;
    until(
        stack,
        "there is no connection",
        "http_server_request_duration_seconds_count{http_response_status_code=\"503\"} > 0",
    )
    .await;
    inject(stack, &json!([])).await;
    slow
}

/// Replaces the faults that are on.
async fn inject(stack: &Stack, faults: &Value) {
    let url = format!("http://{}/debug/faults?for=1m", stack.glasshouse.internal);
    let answer = stack.http.put(url).json(faults).send().await.unwrap();
    let status = answer.status();
    assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
}

/// Those who are refused, who are not understood, and who go away.
async fn strangers(stack: &Stack) {
    let url = |path: &str| format!("http://{}{path}", stack.glasshouse.public);
    let post = async |path: &str, body: Value| stack.http.post(url(path)).json(&body).send().await.unwrap().status();
    let wrong = json!({ "email": ADMIN.0, "password": "not the admin's password" });
    assert_eq!(post("/api/v1/auth/sign-in", wrong).await, StatusCode::UNAUTHORIZED);
    let token = json!({ "refresh_token": "none of ours" });
    assert_eq!(post("/api/v1/auth/refresh", token).await, StatusCode::UNAUTHORIZED);
    let status = stack.http.get(url("/api/v1/users")).bearer_auth("garbage").send().await.unwrap().status();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(stack.http.get(url("/nowhere")).send().await.unwrap().status(), StatusCode::NOT_FOUND);

    // Hashing the password takes longer than this one waits.
    let body = json!({ "email": ADMIN.0, "password": ADMIN.1 });
    let leaving = stack.http.post(url("/api/v1/auth/sign-in")).json(&body).timeout(Duration::from_millis(8));
    assert!(leaving.send().await.is_err_and(|error| error.is_timeout()), "nobody signs in within 8 ms");
    let public = stack.glasshouse.public;
    let babble = move || TcpStream::connect(public).unwrap().write_all(b"nothing that is HTTP\r\n\r\n").unwrap();
    tokio::task::spawn_blocking(babble).await.unwrap();
    until(
        stack,
        "who left is seen",
        "http_server_request_duration_seconds_count{error_type=\"client_disconnected\"} > 0",
    )
    .await;
}

async fn until(stack: &Stack, what: &str, query: &str) {
    let seen = within(STARTING, async || stack.prometheus.found(query).await).await;
    assert!(seen.is_some(), "Prometheus does not see that {what}: {query}");
}

async fn now(stack: &Stack) -> f64 {
    let time = stack.prometheus.api().ask("query", &[("query", "time()")]).await.unwrap();
    time["result"][0].as_f64().unwrap()
}

/// Every series of the run, and those that the alerts would make of themselves: not all of them can fire at once.
async fn known(stack: &Stack, (start, end): (f64, f64)) -> Known {
    let (start, end) = (start.to_string(), end.to_string());
    let all = [("match[]", "{__name__=~\".+\"}"), ("start", &start), ("end", &end)];
    let series = stack.prometheus.api().ask("series", &all).await.unwrap();
    let series: Vec<BTreeMap<String, String>> = serde_json::from_value(series).unwrap();
    let mut known = Known::default();
    for series in series {
        known.insert(series);
    }
    for alert in queries::rules().into_iter().filter(|rule| rule.is_alert) {
        let of_result = known.read(&alert.query.text).labels.unwrap_or_default();
        let mut series: BTreeMap<String, String> = of_result.into_iter().map(|label| (label, String::new())).collect();
        let fixed = alert.labels.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        series.extend(fixed);
        series.insert("__name__".to_owned(), "ALERTS".to_owned());
        series.insert("alertname".to_owned(), alert.name);
        for state in ["pending", "firing"] {
            series.insert("alertstate".to_owned(), state.to_owned());
            known.insert(series.clone());
        }
    }
    known
}
