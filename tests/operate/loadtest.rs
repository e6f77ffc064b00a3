//! The load test, run: its types are right, its profiles are what they say, it leaves nothing behind, and what fails or
//! leaks does not pass.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use glasshouse::{http::openapi, telemetry::tasks::spawn_on};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    support::{Engine, PASSWORD, Service, eventually},
    tool,
};

/// All profiles, and whether their load is an arrival rate, which does not wait for answers.
const PROFILES: &[(&str, bool)] = &[
    ("smoke", false),
    ("ci", true),
    ("average", true),
    ("stress", true),
    ("spike", true),
    ("soak", true),
    ("breakpoint", true),
];

/// Operations that no journey needs: a `signIn` with a write, a `list` for admins, a larger `change`, and documents.
const UNUSED: &[&str] = &[
    "changePassword",
    "listAudit",
    "readAuthorizationServer",
    "readDocument",
    "readKeys",
    "readOpenIdConfiguration",
    "readPage",
    "replace",
];

/// What k6 ends with when a threshold was missed.
const MISSED: i32 = 99;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// k6 with variables of the script and nothing of this machine's environment.
pub(crate) fn k6(command: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut k6 = Command::new(tool::program("k6"));
    k6.env_clear().env("K6_NO_USAGE_REPORT", "true").env("K6_AUTO_EXTENSION_RESOLUTION", "false").args(command);
    for (name, value) in variables {
        k6.arg("-e").arg(format!("{name}={value}"));
    }
    k6.arg(root().join("loadtest/users.ts"));
    k6
}

/// What k6 says of a profile without running it.
async fn inspected(profile: &str) -> Output {
    tool::output(k6(&["inspect", "--execution-requirements"], &[("PROFILE", profile)]), "").await
}

/// One run of the smoke profile, and where its summaries are.
struct Run {
    output: Output,
    folder: TempDir,
}

impl Run {
    async fn smoke(service: &Service, more: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let (base, internal) = (format!("http://{}", service.public), format!("http://{}", service.internal));
        let place = folder.path().display().to_string();
        let mut variables = vec![("BASE_URL", base.as_str()), ("INTERNAL_URL", &internal), ("SUMMARY_DIR", &place)];
        variables.extend_from_slice(more);
        let output = tool::output(k6(&["run", "--quiet"], &variables), "").await;
        Self { output, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn page(&self) -> String {
        fs::read_to_string(self.file("summary.md")).unwrap()
    }

    /// The thresholds that were missed, as the page for people has them.
    fn missed(&self) -> BTreeSet<String> {
        let page = self.page();
        let missed = page.lines().filter(|line| line.contains("missed"));
        missed.filter_map(|line| line.split('`').nth(1)).map(str::to_owned).collect()
    }

    fn errors(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

#[tokio::test]
async fn its_types_are_right() {
    let compiler = root().join("loadtest/node_modules/.bin/tsc");
    assert!(compiler.exists(), "no compiler of types: run scripts/test-setup, which installs it");
    let mut command = Command::new(compiler);
    command.arg("--project").arg(root().join("loadtest"));
    let output = tool::output(command, "").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn each_profile_can_be_run_and_is_judged_by_the_objectives() {
    let slo: Value = serde_json::from_str(&fs::read_to_string(root().join("alerts/slo.json")).unwrap()).unwrap();
    let number = |pointer: &str| slo.pointer(pointer).and_then(Value::as_f64).unwrap();
    let (availability, latency) = (number("/availability/objective"), number("/latency/objective"));
    let milliseconds = number("/latency/threshold_seconds") * 1000.0;
    let readme = fs::read_to_string(root().join("loadtest/README.md")).unwrap();

    for (profile, open) in PROFILES {
        let output = inspected(profile).await;
        assert!(output.status.success(), "{profile}: {}", String::from_utf8_lossy(&output.stderr));
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let executor = plan["scenarios"][profile]["executor"].as_str().unwrap();
        assert_eq!(executor.ends_with("arrival-rate"), *open, "{profile}: {executor}");
        assert!(readme.contains(&format!("| `{profile}` |")), "{profile} is not explained");

        let thresholds = plan["thresholds"].as_object().unwrap();
        let mut judged = BTreeSet::new();
        for (metric, said) in thresholds {
            // Without a threshold, the numbers of a tag are only shown.
            let Some(said) = said.get(0) else { continue };
            let said = said["threshold"].as_str().or(said.as_str()).unwrap();
            let (what, number) = said.split_once("<=").or_else(|| said.split_once(">=")).unwrap_or((said, "0"));
            let near = |expected: f64| (number.parse::<f64>().unwrap() - expected).abs() < 1e-9;
            let kind = metric.split('{').next().unwrap();
            match kind {
                "http_req_failed" => assert!(what == "rate" && near(1.0 - availability), "{metric}: {said}"),
                "checks" => assert!(what == "rate" && near(availability), "{metric}: {said}"),
                "http_req_duration" => {
                    assert!(what == format!("p({})", latency * 100.0) && near(milliseconds), "{metric}: {said}");
                }
                "dropped_iterations" | "accounts_left" => assert_eq!(said, "count<1"),
                name => assert!(name.starts_with("grown_") && *profile == "soak", "{profile}: {metric}"),
            }
            judged.insert(kind);
        }
        let expected = ["accounts_left", "checks", "dropped_iterations", "http_req_failed"];
        assert!(expected.iter().all(|metric| judged.contains(metric)), "{profile}: {judged:?}");
        assert_eq!(judged.contains("http_req_duration"), *open, "{profile}: latency");
        assert_eq!(judged.contains("grown_tasks"), *profile == "soak", "{profile}: leaks");
    }

    let unknown = inspected("nothing").await;
    let complaint = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && PROFILES.iter().all(|(name, _)| complaint.contains(name)), "{complaint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_takes_every_way_and_leaves_nobody_behind() {
    let service = Service::start_with(Engine::Sqlite, &[]).await;
    let admin = service.admin("admin@example.com").await;
    // Alone, and seen by an admin, who would remove what is left.
    let seen: [&[(&str, &str)]; 2] = [&[], &[("ADMIN_EMAIL", &admin.email), ("ADMIN_PASSWORD", PASSWORD)]];
    let mut run = None;
    for admins in seen {
        let ended = Run::smoke(&service, admins).await;
        assert!(ended.output.status.success(), "{}\n{}", ended.page(), ended.errors());
        let listed = admin.client.list("").await;
        let left: Vec<_> = listed.json["users"].as_array().unwrap().iter().map(|user| user["email"].as_str()).collect();
        assert_eq!(left, [Some("admin@example.com")]);
        run = Some(ended);
    }

    let run = run.unwrap();
    let summary: Value = serde_json::from_slice(&fs::read(run.file("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["metrics"]["iterations"]["values"]["count"], 5);
    assert!(run.page().contains("5 journeys") && run.missed().is_empty(), "{}", run.page());
    // The admin lists accounts once; of five journeys each looks at the own account five times.
    assert!(
        run.page().contains("| GET /api/v1/users | 2 |") || run.page().contains("| GET /api/v1/users | 1 |"),
        "{}",
        run.page()
    );
    assert!(run.page().contains("| GET /api/v1/users/me | 25 |"), "{}", run.page());

    let seen = service.internal("/metrics").await.text().await.unwrap();
    let document = serde_json::to_value(openapi::document()).unwrap();
    for (route, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let method = method.to_uppercase();
            let labels = [format!("http_request_method=\"{method}\""), format!("http_route=\"{route}\"")];
            let mut counts =
                seen.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count{"));
            let is_taken = counts.any(|line| !line.ends_with(" 0") && labels.iter().all(|label| line.contains(label)));
            assert_eq!(is_taken, !UNUSED.contains(&id), "{id}: {method} {route}");
        }
    }
}

/// The summary that a run of `breakpoint` with these numbers would have, at two journeys a second to begin with.
async fn summarized(metrics: Value) -> String {
    let folder = TempDir::new().unwrap();
    let data = json!({ "state": { "testRunDurationMs": 100_000 }, "metrics": metrics });
    fs::write(folder.path().join("data.json"), data.to_string()).unwrap();
    let script = format!(
        "import {{ summary }} from '{}';\nconst data = JSON.parse(open('{}'));\n\
         export const options = {{ iterations: 1 }};\nexport default function () {{}}\n\
         export const handleSummary = () => summary(data);\n",
        root().join("loadtest/lib/summary.ts").display(),
        folder.path().join("data.json").display()
    );
    let file = folder.path().join("script.ts");
    fs::write(&file, script).unwrap();
    let mut command = Command::new(tool::program("k6"));
    command.env_clear().env("K6_NO_USAGE_REPORT", "true").env("K6_AUTO_EXTENSION_RESOLUTION", "false");
    command.args(["run", "--quiet", "--address=127.0.0.1:0", "-e", "PROFILE=breakpoint", "-e", "RATE=2", "-e"]);
    command.arg(format!("SUMMARY_DIR={}", folder.path().display())).arg(&file);
    let output = tool::output(command, "").await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    fs::read_to_string(folder.path().join("summary.md")).unwrap_or_else(|_| panic!("{said}"))
}

/// What k6 counts of requests with these tags.
fn counted(tags: &str, requests: u64, failed: f64, p99: f64) -> Vec<(String, Value)> {
    let metric = |name: &str, contains: &str, values: Value| {
        (format!("{name}{tags}"), json!({ "contains": contains, "values": values }))
    };
    let times = json!({ "med": 5.0, "p(95)": 20.0, "p(99)": p99, "max": 900.0 });
    vec![
        metric("http_reqs", "default", json!({ "count": requests, "rate": 1.0 })),
        metric("http_req_failed", "default", json!({ "rate": failed })),
        metric("http_req_duration", "time", times),
    ]
}

#[tokio::test]
async fn breakpoint_summary_names_the_rate_that_missed_an_objective() {
    let metric = |name: &str, values: Value| (name.to_owned(), json!({ "contains": "default", "values": values }));
    let mut metrics = counted("", 5200, 0.0, 300.0);
    metrics.extend(counted("{rate:2.0-4.0}", 1000, 0.0, 90.0));
    metrics.extend(counted("{rate:4.0-6.0}", 2000, 0.001, 250.0));
    metrics.extend(counted("{rate:6.0-8.0}", 2200, 0.0, 612.5));
    metrics.extend(counted("{rate:8.0-10.0}", 0, 0.0, 0.0));
    metrics.extend(counted("{method:GET,name:/api/v1/users/me}", 2000, 0.5, 8.0));
    metrics.push(metric("iterations", json!({ "count": 400 })));
    metrics.push(metric("journey_rate", json!({ "max": 7.25 })));
    metrics.push(metric("unavailable{reason:overloaded}", json!({ "count": 17 })));
    let page = summarized(metrics.into_iter().collect()).await;
    for line in [
        "400 journeys and 5200 requests in 100 s: 4.0 journeys and 52.0 requests a second. RATE=2, HASHING_THREADS=1.",
        "All objectives were kept up to **6.0 journeys a second**.",
        "The first miss was at **6.0 to 8.0 journeys a second**: 0.000 % failed, p(99) was 612.5 ms.",
        "The run ended at 7.3 journeys a second.",
        "| 4.0-6.0 | 2000 | 0.100 % | 5.0 ms | 20.0 ms | 250.0 ms | 900.0 ms | kept |",
        "| 6.0-8.0 | 2200 | 0.000 % | 5.0 ms | 20.0 ms | 612.5 ms | 900.0 ms | **missed** |",
        "| all | 5200 | 0.000 % | 5.0 ms | 20.0 ms | 300.0 ms | 900.0 ms |",
        "| GET /api/v1/users/me | 2000 | 50.000 % | 5.0 ms | 20.0 ms | 8.0 ms | 900.0 ms |",
        "| overloaded | 17 |",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\nis not in\n{page}");
    }
    assert!(!page.contains("8.0-10.0"), "a part that was not reached is not judged: {page}");

    let mut metrics = counted("{rate:2.0-4.0}", 1000, 0.0, 251.0);
    metrics.push(metric("iterations", json!({ "count": 400 })));
    let page = summarized(metrics.into_iter().collect()).await;
    assert!(page.contains("No part of the ramp kept all objectives."), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_fails_misses_its_objectives_and_each_failure_can_be_looked_up() {
    // Not enough for hashing a password, and far more than the probe needs that a run begins with.
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "12ms")]).await;
    let run = Run::smoke(&service, &[]).await;
    assert_eq!(run.output.status.code(), Some(MISSED), "{}\n{}", run.page(), run.errors());
    let missed = run.missed();
    let expected = ["checks", "http_req_failed{group:::join}", "http_req_failed{scenario:smoke}"];
    assert!(expected.iter().all(|name| missed.contains(*name)), "{missed:?}");

    let errors = run.errors();
    let (_, told) = errors.split_once("trace_id=").unwrap_or_else(|| panic!("no trace is named: {errors}"));
    let trace = &told[..32];
    let lines = service.lines();
    let line = lines.iter().find(|line| line["trace_id"] == trace);
    assert_eq!(line.map(|line| &line["http.route"]), Some(&Value::from("/api/v1/users")), "{trace} is in no line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_outlive_a_run_are_noticed() {
    let service = Service::start_with(Engine::Sqlite, &[]).await;
    let leaking = async {
        let registered =
            async || service.metric("glasshouse_users_registered_total").await.filter(|count| *count > 0.0);
        eventually("the run has begun", registered).await;
        for _ in 0..200 {
            drop(spawn_on(&service.main, "forgotten", std::future::pending::<()>()));
        }
    };
    let (run, ()) = tokio::join!(Run::smoke(&service, &[]), leaking);
    assert_eq!(run.output.status.code(), Some(MISSED), "{}\n{}", run.page(), run.errors());
    let missed = run.missed();
    assert!(missed.contains("grown_tasks"), "{missed:?}");
    // Memory and files are the process's, which other tests share.
    assert!(missed.iter().all(|name| name.starts_with("grown_")), "{missed:?}");
}
