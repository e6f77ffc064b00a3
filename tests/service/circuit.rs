//! The circuit to the store: when it opens, what clients and people are told, and how it closes.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{Client, Engine, PASSWORD, Postgres, Proxy, Reply, Service, Session, eventually};

/// A database that is well answers a ping in a millisecond.
const PING: (&str, &str) = ("GLASSHOUSE_STORE__PING_TIMEOUT", "300ms");
/// A connection that is not open by then is given up.
const IMPATIENT: (&str, &str) = ("GLASSHOUSE_STORE__ACQUIRE_TIMEOUT", "500ms");
/// Longer than any of these tests: nobody here is answered because waiting for a connection has ended.
const PATIENT: (&str, &str) = ("GLASSHOUSE_STORE__ACQUIRE_TIMEOUT", "5m");

fn assert_unavailable(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.code()), (503, "store_unavailable"), "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
}

/// The states that the log tells of so far, each with its reason.
fn told(service: &Service) -> Vec<(String, String)> {
    let text = |line: &Value, field: &str| line[field].as_str().map(str::to_owned);
    let lines = service.lines().into_iter().filter(|line| line["circuit.name"] == "store");
    lines.filter_map(|line| Some((text(&line, "circuit.state")?, text(&line, "circuit.reason")?))).collect()
}

/// Waits for the line of that state, without asking the service anything.
async fn until_told(service: &Service, state: &str) -> String {
    let newest = async || told(service).pop().filter(|(told, _)| told == state).map(|(_, reason)| reason);
    eventually(&format!("the circuit is {state}"), newest).await
}

/// Calls in vain until the log tells of the circuit.
async fn failing_until_told(service: &Service, client: &Client) {
    eventually("the log tells of the circuit", async || {
        assert_unavailable(&client.me().await);
        (!told(service).is_empty()).then_some(())
    })
    .await;
}

async fn refusals(service: &Service) -> f64 {
    service.metric("glasshouse_circuit_refusals_total{circuit=\"store\"}").await.unwrap()
}

async fn is_closed(service: &Service) -> bool {
    service.metric("glasshouse_circuit_state{circuit=\"store\",state=\"closed\"}").await == Some(1.0)
}

/// A service behind a wire to its database.
async fn wired(settings: &[(&str, &str)]) -> (Proxy, Service) {
    let direct = Postgres::get().database().await;
    let target: url::Url = direct.parse().unwrap();
    let proxy = Proxy::start(format!("{}:{}", target.host_str().unwrap(), target.port().unwrap_or(5432))).await;
    let service = Service::start_on(TempDir::new().unwrap(), &proxy.url(&direct), settings).await;
    (proxy, service)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_database_that_stands_still_and_all_are_told() {
    let postgres = Postgres::start(&[]);
    let url = postgres.database().await;
    let service = Service::start_on(TempDir::new().unwrap(), &url, &[PING, PATIENT]).await;
    let ann = service.client().joined("ann@example.com").await;
    assert!(is_closed(&service).await && told(&service).is_empty());
    assert_eq!(service.client().get("/health/ready?verbose").await.json["parts"]["circuit"], true);

    let paused = postgres.pause();
    let mut waiting = JoinSet::new();
    let client = ann.client.clone();
    waiting.spawn(async move { client.me().await });
    // One call that waits is enough, and the ping that it gives cause for.
    assert_eq!(until_told(&service, "open").await, "neither a call nor the readiness check was answered");

    // A few of these are probes, which may wait as long as a ping; nobody waits for a connection.
    let began = Instant::now();
    for _ in 0..20 {
        assert_unavailable(&ann.client.me().await);
        assert_unavailable(&service.client().sign_in("ann@example.com", PASSWORD).await);
    }
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    assert!(refusals(&service).await >= 20.0, "{}", refusals(&service).await);
    assert!(!is_closed(&service).await);
    let public = service.client().get("/health/ready?verbose").await;
    assert_eq!((public.status.as_u16(), &public.json["parts"]["circuit"]), (503, &json!(false)));
    let inside = service.internal("/health/ready?verbose").await.json::<Value>().await.unwrap();
    assert!(inside["circuit"] == "open" || inside["circuit"] == "half_open", "{inside}");
    assert_eq!(service.client().get("/health/live").await.status, 200);
    let mut asked = 0;
    let refused = eventually("one is refused and no probe", async || {
        asked += 1;
        let id = format!("refused-{asked}");
        assert_unavailable(&ann.client.named(&id, ann.client.request(Method::GET, "/api/v1/users/me")).await);
        let line = service.line(&id).await;
        line["error.message"].as_str()?.ends_with("the circuit to the store is open").then_some(line)
    });
    let line = refused.await;
    assert_eq!((&line["error.type"], &line["db.queries"]), (&json!("store_unavailable"), &json!(0)));

    drop(paused);
    eventually("it is served again", async || (ann.client.me().await.status == 200).then_some(())).await;
    assert_eq!(waiting.join_next().await.unwrap().unwrap().status, 200, "who waited is answered in the end");
    until_told(&service, "closed").await;
    assert!(is_closed(&service).await);
    service.stop().await.outcome.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_closes_though_nobody_calls() {
    let (proxy, service) = wired(&[PING]).await;
    let ann = service.client().joined("ann@example.com").await;
    proxy.cut();
    failing_until_told(&service, &ann.client).await;
    until_told(&service, "open").await;
    proxy.mend();
    assert_eq!(until_told(&service, "closed").await, "the readiness check was answered");
    assert_eq!(ann.client.me().await.status, 200);
    assert_eq!(told(&service).len(), 2, "one line for each: {:?}", told(&service));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_closes_while_many_call() {
    let (proxy, service) = wired(&[PING]).await;
    let ann = service.client().joined("ann@example.com").await;
    proxy.cut();
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let client = ann.client.clone();
        callers.spawn(async move {
            loop {
                let reply = client.me().await;
                assert!([200, 503].contains(&reply.status.as_u16()), "{reply:?}");
            }
        });
    }
    until_told(&service, "open").await;
    proxy.mend();
    // A ping alone would not do: these callers are to find out for themselves.
    assert_eq!(until_told(&service, "closed").await, "a probe was answered");
    eventually("they are served", async || (ann.client.me().await.status == 200).then_some(())).await;
    callers.abort_all();
    while let Some(ended) = callers.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()), "no caller has met anything else");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_take_too_long_open_it_though_the_database_answers_pings() {
    let url = Postgres::get().database().await;
    let brief = [PING, ("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "50ms")];
    let service = Service::start_on(TempDir::new().unwrap(), &url, &brief).await;
    let ann = service.client().joined("ann@example.com").await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    other.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    failing_until_told(&service, &ann.client).await;
    assert_eq!(until_told(&service, "open").await, "half of the calls of the last seconds failed");
    let before = refusals(&service).await;
    eventually("calls are refused", async || {
        assert_unavailable(&ann.client.me().await);
        (refusals(&service).await >= before + 20.0).then_some(())
    })
    .await;
    assert_eq!(service.metric("glasshouse_ready{check=\"store\"}").await, Some(1.0), "it answers all the while");
    other.execute("ROLLBACK").await.unwrap();
    eventually("it is served again", async || (ann.client.me().await.status == 200).then_some(())).await;
    until_told(&service, "closed").await;
}

/// A service on which faults may be injected, and somebody who has joined: a few calls that were answered.
async fn rehearsing() -> (Service, Session) {
    let allowed = ("GLASSHOUSE_FAULTS__ALLOWED", "true");
    let service = Service::start_with(Engine::Postgres, &[PING, allowed]).await;
    let ann = service.client().joined("ann@example.com").await;
    (service, ann)
}

async fn inject(service: &Service, faults: Value) {
    let put = reqwest::Client::new().put(format!("http://{}/debug/faults?for=1m", service.internal));
    assert!(put.json(&faults).send().await.unwrap().status().is_success());
}

async fn assert_never_open(service: &Service) {
    assert_eq!((told(service).len(), refusals(service).await), (0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_caller_does_wrong_opens_it() {
    let (service, ann) = rehearsing().await;
    let client = service.client();
    // One after the other, so that nothing in between is answered otherwise.
    for _ in 0..10 {
        assert_eq!(client.register("ann@example.com").await.status, 409);
    }
    for _ in 0..10 {
        assert_eq!(client.refresh("none of ours").await.status, 401);
        assert_eq!(ann.client.change(&ann.id, "\"7\"", &json!({ "name": "Lee" })).await.status, 412);
        assert_eq!(client.sign_in("nobody@example.com", PASSWORD).await.status, 401);
    }
    assert_never_open(&service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_surprise_that_the_database_answers_with_is_no_outage() {
    let (service, ann) = rehearsing().await;
    inject(&service, json!([{ "fault": "error", "statement": "SELECT sessions" }])).await;
    for _ in 0..50 {
        assert_eq!(ann.client.me().await.status, 500);
    }
    assert_never_open(&service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_do_not_open_it() {
    let (service, ann) = rehearsing().await;
    inject(&service, json!([{ "fault": "delay", "for": "200ms", "statement": "SELECT sessions" }])).await;
    for _ in 0..50 {
        let leaves = ann.client.request(Method::GET, "/api/v1/users/me").timeout(Duration::from_millis(40));
        assert!(leaves.send().await.is_err_and(|error| error.is_timeout()));
    }
    inject(&service, json!([])).await;
    assert_eq!(ann.client.me().await.status, 200);
    assert_never_open(&service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_may_have_happened_is_never_sent_again_and_a_read_is() {
    let postgres = Postgres::start(&[("log_statement", "all")]);
    let url = postgres.database().await;
    let service = Service::start_on(TempDir::new().unwrap(), &url, &[PING]).await;
    let ann = service.client().joined("ann@example.com").await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    // Ends the connection on which something waits for the lock, in the middle of its statement.
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let sent = |statement: &str| postgres.log().lines().filter(|line| line.contains(statement)).count();
    for (statement, lock, status, times) in
        [("INSERT INTO users", "EXCLUSIVE", 503, 1), ("FROM users WHERE email_key", "ACCESS EXCLUSIVE", 401, 2)]
    {
        other.execute(sqlx::AssertSqlSafe(format!("BEGIN; LOCK TABLE users IN {lock} MODE"))).await.unwrap();
        let (before, client) = (sent(statement), service.client());
        let called = async {
            match status {
                503 => client.register("bob@example.com").await,
                _ => client.sign_in("nobody@example.com", PASSWORD).await,
            }
        };
        let broken = async {
            let mut ends = async || other.execute(end).await.unwrap().rows_affected();
            eventually("something waits for the lock", async || (ends().await > 0).then_some(())).await;
            other.execute("ROLLBACK").await.unwrap();
        };
        let (reply, ()) = tokio::join!(called, broken);
        assert_eq!(reply.status, status, "{statement}: {reply:?}");
        eventually("the server has logged it", async || (sent(statement) >= before + times).then_some(())).await;
        assert_eq!(sent(statement), before + times, "{statement}");
    }
    assert_eq!(service.metric("glasshouse_store_retries_total{outcome=\"tried\"}").await, Some(1.0));
    assert_eq!(ann.client.me().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_becomes_ready_after_its_first_connection_was_never_answered() {
    let direct = Postgres::get().database().await;
    let target: url::Url = direct.parse().unwrap();
    let proxy = Proxy::start(format!("{}:{}", target.host_str().unwrap(), target.port().unwrap_or(5432))).await;
    proxy.hold();
    let service = Service::started_on(TempDir::new().unwrap(), &proxy.url(&direct), &[IMPATIENT]);
    eventually("the wait for the database is over", async || {
        let logged = |line: &Value| {
            let message = line["error.message"].as_str().unwrap_or_default();
            line["message"] == "the database cannot be migrated yet" && message.contains("waiting for a connection")
        };
        service.lines().iter().any(logged).then_some(())
    })
    .await;
    proxy.mend();
    eventually("the service is ready", async || {
        service.internal("/health/ready").await.status().is_success().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_before_the_tables_is_unavailable_and_no_fault() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let folder = TempDir::new().unwrap();
        let url = match engine {
            Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
            Engine::Postgres => Postgres::get().database().await,
        };
        let service = Service::started_on(folder, &url, &[("GLASSHOUSE_STORE__MIGRATE", "false")]);
        eventually("its port is served", async || {
            (service.client().register("ann@example.com").await.status == 503).then_some(())
        })
        .await;
        for _ in 0..10 {
            assert_unavailable(&service.client().register("ann@example.com").await);
        }
        assert!(is_closed(&service).await, "that no table is there is an answer");
    }
}
