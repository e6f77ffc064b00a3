//! The shipped rules count failed requests from the first one, for each way in which a request can fail, behind a proxy
//! that ends TLS, after each restart, and for an instance that fails before Prometheus knows it.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::stack::{Instance, Limits, Options, Postgres, STARTING, Scale, Stack, within};

/// Windows are so much longer than in production that none of them ends within the test, however slow the machine is.
const SCALE: Scale = Scale { factor: 0.1, scrape: Duration::from_millis(500) };

/// The seconds of what rules call `5m`.
const WINDOW_SECONDS: u32 = 5 * 60 * 10;

const SIGN_IN: &str = "/api/v1/auth/sign-in";

/// How many requests fail in each way.
const FAILURES: usize = 20;

/// More requests than may wait to be worked on.
const OVERLOAD: usize = 400;

/// What is injected, how many requests meet it, and a status that one of them is answered with.
struct Failure {
    fault: &'static str,
    requests: usize,
    status: u16,
}

const WAYS: &[Failure] = &[
    Failure { fault: r#"[{"fault": "error", "route": "/api/v1/auth/sign-in"}]"#, requests: FAILURES, status: 500 },
    Failure { fault: r#"[{"fault": "panic", "route": "/api/v1/auth/sign-in"}]"#, requests: FAILURES, status: 500 },
    Failure { fault: r#"[{"fault": "error", "statement": "SELECT users by email"}]"#, requests: FAILURES, status: 500 },
    Failure { fault: r#"[{"fault": "hang", "route": "/api/v1/auth/sign-in"}]"#, requests: FAILURES, status: 504 },
    Failure { fault: r#"[{"fault": "hang", "statement": "SELECT users by email"}]"#, requests: FAILURES, status: 504 },
    Failure { fault: r#"[{"fault": "refused_pool"}]"#, requests: FAILURES, status: 503 },
    Failure { fault: r#"[{"fault": "hang", "route": "/api/v1/auth/sign-in"}]"#, requests: OVERLOAD, status: 503 },
];

/// The shipped rules, evaluated as often as is scraped.
async fn evaluate(stack: &Stack) {
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/rules")).unwrap() {
        let file = file.unwrap();
        let mut rules: Value = serde_saphyr::from_str(&fs::read_to_string(file.path()).unwrap()).unwrap();
        for group in rules["groups"].as_array_mut().unwrap() {
            group.as_object_mut().unwrap().remove("interval");
        }
        stack.prometheus.write_rules(file.file_name().to_str().unwrap(), &rules.to_string());
    }
    stack.prometheus.reload().await;
}

/// Has so many requests fail at once, as a proxy that ends TLS hands them on. Returns the statuses of the failures.
async fn fail(http: &reqwest::Client, instance: &Instance, way: &Failure) -> Vec<u16> {
    let faults = format!("http://{}/debug/faults?for=10m", instance.internal);
    let put = http.put(&faults).body(way.fault).send().await.unwrap();
    assert!(put.status().is_success(), "{}: {}", way.fault, put.text().await.unwrap());
    let body = json!({ "email": "ann@example.com", "password": "as good as any other" });
    let request = http.post(format!("http://{}{SIGN_IN}", instance.public)).header("x-forwarded-proto", "https");
    let request = request.json(&body);
    let mut requests = JoinSet::new();
    for _ in 0..way.requests {
        requests.spawn(request.try_clone().unwrap().send());
    }
    let mut statuses: Vec<u16> =
        requests.join_all().await.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
    statuses.retain(|status| *status >= 500);
    assert!(statuses.contains(&way.status), "{}: {statuses:?}", way.fault);
    assert!(http.delete(&faults).send().await.unwrap().status().is_success());
    statuses
}

async fn ready(stack: &Stack, instance: &Instance) {
    let url = format!("http://{}/health/ready", instance.internal);
    let answer = async || stack.http.get(&url).send().await.ok()?.status().is_success().then_some(());
    within(STARTING, answer).await.expect("the instance becomes ready");
}

/// Waits until the rule has counted all failures that there were.
async fn counted(stack: &Stack, failures: usize, way: &str) {
    counted_between(stack, failures, failures, way).await;
}

/// The same, for at least so many and at most so many. A rate over a window extrapolates a little.
async fn counted_between(stack: &Stack, least: usize, most: usize, way: &str) {
    let query = format!("sum(job:http_server_errors:rate5m{{environment=\"test\"}}) * {WINDOW_SECONDS}");
    let [low, high] =
        [(least, 0.97), (most, 1.3)].map(|(count, factor)| f64::from(u32::try_from(count).unwrap()) * factor);
    let mut found = None;
    let all = within(STARTING, async || {
        found = stack.prometheus.found(&query).await?[0]["value"][1].as_str()?.parse::<f64>().ok();
        found.filter(|counted| (low..high).contains(counted))
    });
    let in_time = all.await.is_some();
    assert!(in_time, "{way}: {least} to {most} requests have failed, and the rule has counted {found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn error_rate_counts_the_first_failures_of_every_kind() {
    let database = tokio::task::spawn_blocking(Postgres::get).await.unwrap().database().await;
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("GLASSHOUSE_FAULTS__ALLOWED", "true"),
        ("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "127.0.0.1"),
        ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1s"),
        // Requests that would wait for longer than the queue allows are refused.
        ("GLASSHOUSE_SHED__MAX_WAIT", "20ms"),
    ];
    let options = Options { own_database: false, scale: SCALE, ..Options::scraped(&settings) };
    let mut stack = Stack::start(options).await;
    evaluate(&stack).await;

    // The first failures of an instance that is scraped already, with the series as they are from the start.
    let mut failures = fail(&stack.http, &stack.glasshouse, &WAYS[0]).await.len();
    counted(&stack, failures, "a scraped instance").await;

    // A restart: at its first scrape the new process has failed more requests than the old one had at its last.
    stack.glasshouse.start_again().await;
    ready(&stack, &stack.glasshouse).await;
    let restarted = Failure { requests: 2 * FAILURES, ..WAYS[2] };
    let after = fail(&stack.http, &stack.glasshouse, &restarted).await.len();
    // Either the reset is seen, and all count, or the failures of the new process do.
    let (least, most) = (after, failures + after);
    counted_between(&stack, least, most, "a restarted instance").await;

    // Deploys bring new instances where addresses are not kept: each fails before its first scrape.
    failures = least;
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for way in WAYS {
        let new = Instance::start(&settings, Limits::default(), (0, 0)).await;
        ready(&stack, &new).await;
        let failed = fail(&stack.http, &new, way).await.len();
        failures += failed;
        stack.prometheus.target(Some(new.internal));
        counted_between(&stack, failures, failures + FAILURES, way.fault).await;
    }
    for alert in ["HighErrorRate", "DatabaseErrors", "Panics"] {
        let raised = format!("ALERTS{{alertname=\"{alert}\", environment=\"test\"}}");
        assert!(within(STARTING, async || stack.prometheus.found(&raised).await).await.is_some(), "{alert}");
    }
}
