//! A request's time: who sets it, who keeps to it, and what becomes of work that nobody waits for.

#![expect(clippy::float_cmp, reason = "counters of whole numbers")]

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Engine, PASSWORD, Postgres, Service, Session, eventually, on_both_stores};

const HEADER: &str = "x-request-timeout";

/// A change of one's own name: it is told who asks, and then writes.
fn change(ann: &Session) -> reqwest::RequestBuilder {
    let request = ann.client.request(Method::PATCH, &format!("/api/v1/users/{}", ann.id));
    request.header("if-match", "*").json(&json!({ "name": "Changed" }))
}

fn change_password(ann: &Session) -> reqwest::RequestBuilder {
    let request = ann.client.request(Method::PUT, &format!("/api/v1/users/{}/password", ann.id));
    request.json(&json!({ "old_password": PASSWORD, "new_password": "another canary" }))
}

const fn system(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgresql",
    }
}

/// The statement of [`change`], and that of [`change_password`].
const CHANGE: &str = "UPDATE users by version";
const CHANGE_PASSWORD: &str = "UPDATE users password";

/// How many calls of that UPDATE ended so.
async fn calls(service: &Service, engine: Engine, summary: &str, error_type: &str) -> f64 {
    let series = format!(
        "db_client_operation_duration_seconds_count{{db_collection_name=\"users\",db_operation_name=\"UPDATE\",\
         db_query_summary=\"{summary}\",db_system_name=\"{}\",error_type=\"{error_type}\"}}",
        system(engine)
    );
    service.metric(&series).await.unwrap_or_default()
}

/// Nothing of what was under way is left: neither a connection in use nor a statement at the server.
async fn nothing_is_left(service: &Service, engine: Engine) {
    if engine == Engine::Postgres {
        eventually("PostgreSQL has ended the statement", async || (service.at_work().await == 0).then_some(())).await;
    }
    eventually("no connection is in use", async || (service.connections_used().await < 0.5).then_some(())).await;
}

/// Sends a request, and goes away when something is seen.
async fn gone_when(request: reqwest::RequestBuilder, seen: impl Future<Output = ()>) {
    tokio::select! {
        reply = request.send() => panic!("nobody was to wait for {reply:?}"),
        () = seen => {}
    }
}

on_both_stores! {
    async fn a_client_is_answered_when_it_wants_to_be_and_its_statement_ends(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let lock = service.lock().await;
        let reply = ann.client.named("brief-1", change(&ann).header(HEADER, "0.9")).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (504, "timeout"));
        let line = service.line("brief-1").await;
        assert_eq!((line["error.type"].as_str(), line["error.code"].as_str()), (Some("client_deadline"), Some("timeout")));
        assert!(line["duration_seconds"].as_f64().unwrap() < 4.0, "long before the statement's own limit: {line}");
        assert_eq!(calls(&service, engine, CHANGE, "cancelled").await, 1.0, "its client had given up");
        if engine == Engine::Postgres {
            nothing_is_left(&service, engine).await;
        }
        lock.go().await;
        nothing_is_left(&service, engine).await;
        assert_eq!(ann.client.me().await.status, 200);
    }
}

on_both_stores! {
    async fn a_wish_longer_than_the_services_limit_changes_nothing(engine) {
        let service = Service::start_with(engine, &[("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "2s")]).await;
        let ann = service.client().joined("ann@example.com").await;
        let lock = service.lock().await;
        for wish in ["3600", "99999999999999999999999999"] {
            let reply = ann.client.named(wish, change(&ann).header(HEADER, wish)).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (504, "timeout"));
            assert_eq!(service.line(wish).await["error.type"], "timeout");
        }
        lock.go().await;
        assert!(calls(&service, engine, CHANGE, "deadline").await > 0.5);
    }
}

#[tokio::test]
async fn what_is_no_time_is_refused_by_name() {
    let service = Service::start().await;
    for path in ["/api/v1/users/me", "/nowhere"] {
        for wish in ["0", "-1", "soon", ""] {
            let request = service.client().request(Method::GET, path).header(HEADER, wish);
            let reply = service.client().send(request).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (400, "request_timeout_invalid"), "{wish}");
            assert!(reply.json["detail"].as_str().unwrap().contains("X-Request-Timeout"), "{}", reply.text);
        }
    }
}

on_both_stores! {
    async fn nobody_waits_for_a_connection_beyond_the_end_of_the_request(engine) {
        let settings = [
            ("GLASSHOUSE_STORE__MAX_CONNECTIONS", "1"),
            ("GLASSHOUSE_STORE__ACQUIRE_TIMEOUT", "1m"),
            ("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "1m"),
            ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1m"),
        ];
        let service = Service::start_with(engine, &settings).await;
        let ann = service.client().joined("ann@example.com").await;
        let lock = service.lock().await;
        // One such statement asked who Ann is after she had signed in; the next is that of the write.
        let recognised = format!(
            "db_client_operation_duration_seconds_count{{db_collection_name=\"sessions\",db_operation_name=\"SELECT\",\
             db_query_summary=\"SELECT sessions\",db_system_name=\"{}\",error_type=\"\"}}",
            system(engine)
        );
        let pending = format!(
            "db_client_connection_pending_requests{{db_client_connection_pool_name=\"{}\"}}",
            system(engine)
        );
        let waiting = async {
            eventually("the write has the connection", async || {
                let is_recognised = service.metric(&recognised).await? > 1.5;
                (is_recognised && service.connections_used().await > 0.5).then_some(())
            }).await;
            let request = ann.client.request(Method::GET, "/api/v1/users/me").header(HEADER, "0.5");
            let reply = ann.client.named("in-vain", request).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (504, "timeout"));
            let line = service.line("in-vain").await;
            assert_eq!(line["db.queries"], 0, "what has no time left does not begin");
            assert!(line["error.message"].as_str().unwrap().ends_with("the client does not wait so long"), "{line}");
            // Whoever goes away leaves the queue as well.
            gone_when(ann.client.request(Method::GET, "/api/v1/users/me"), async {
                eventually("it waits", async || (service.metric(&pending).await? > 0.5).then_some(())).await;
            }).await;
            eventually("nobody waits", async || (service.metric(&pending).await? < 0.5).then_some(())).await;
            lock.go().await;
        };
        let (changed, ()) = tokio::join!(ann.client.send(change(&ann)), waiting);
        assert_eq!(changed.status, 200, "who has time is served: {}", changed.text);
    }
}

on_both_stores! {
    async fn a_statement_whose_client_is_gone_is_ended(engine) {
        let settings = [
            ("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "1m"),
            ("GLASSHOUSE_STORE__MAX_CONNECTIONS", "2"),
            ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1m"),
        ];
        let service = Service::start_with(engine, &settings).await;
        let ann = service.client().joined("ann@example.com").await;
        let lock = service.lock().await;
        for (class, request) in [("other", change(&ann)), ("passwords", change_password(&ann))] {
            let id = format!("gone-{class}");
            let begun = format!("glasshouse_concurrency_used{{class=\"{class}\"}}");
            gone_when(request.header("x-request-id", &id), async {
                eventually("its statement is under way", async || {
                    let at_work = engine == Engine::Sqlite || service.at_work().await == 1;
                    let begun = service.metric(&begun).await? > 0.5;
                    (at_work && begun && service.connections_used().await > 0.5).then_some(())
                }).await;
            }).await;
            let line = service.line(&id).await;
            assert_eq!(line["http.response.status_code"], 499);
            if engine == Engine::Postgres {
                // While the lock is still held, and long before the statement's own limit.
                nothing_is_left(&service, engine).await;
            }
        }
        if engine == Engine::Postgres {
            assert_eq!(calls(&service, engine, CHANGE, "cancelled").await, 1.0);
            assert_eq!(calls(&service, engine, CHANGE_PASSWORD, "cancelled").await, 1.0);
        }
        lock.go().await;
        nothing_is_left(&service, engine).await;
        // What was half done is undone, and no connection is in the middle of it.
        for _ in 0..4 {
            assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200);
        }
        if engine == Engine::Postgres {
            assert_eq!(ann.client.me().await.json["name"], "Ann");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_whose_client_is_gone_makes_room_for_another() {
    const QUEUE: usize = 30;
    let settings = [("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "1"), ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1m")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    service.client().joined("ann@example.com").await;
    let waiting = async || {
        service.metric("glasshouse_concurrency_waiting{class=\"passwords\"}").await.unwrap()
            + service.metric("glasshouse_password_hashes_waiting").await.unwrap()
    };
    let sign_ins = |count| {
        let client = service.client();
        futures_util::future::join_all((0..count).map(move |_| {
            let client = client.clone();
            async move { client.sign_in("ann@example.com", PASSWORD).await.status.as_u16() }
        }))
    };
    tokio::select! {
        _ = sign_ins(QUEUE) => panic!("all passwords were hashed before many had waited"),
        () = eventually("many wait", async || (waiting().await > 20.0).then_some(())) => {}
    }
    eventually("nobody waits", async || (waiting().await < 0.5).then_some(())).await;
    assert_eq!(sign_ins(QUEUE).await, [200; QUEUE], "nobody is refused for the sake of those who have gone");
    assert_eq!(service.metric("glasshouse_password_hashes_refused_total").await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_has_a_limit_of_its_own_however_long_the_request_may_take() {
    let settings = [("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "500ms"), ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1m")];
    let url = Postgres::get().database().await;
    let service = Service::start_on(TempDir::new().unwrap(), &url, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    let lock = service.lock().await;
    let reply = ann.client.send(change(&ann)).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (503, "store_unavailable"));
    assert_eq!(calls(&service, Engine::Postgres, CHANGE, "57014").await, 1.0, "the server itself has ended it");
    lock.go().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_stopped_talking_is_given_up_and_its_connection_closed() {
    let direct = Postgres::get().database().await;
    let target: url::Url = direct.parse().unwrap();
    let proxy =
        crate::support::Proxy::start(format!("{}:{}", target.host_str().unwrap(), target.port().unwrap_or(5432))).await;
    let settings = [
        ("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "200ms"),
        ("GLASSHOUSE_STORE__ACQUIRE_TIMEOUT", "500ms"),
        ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1m"),
    ];
    let service = Service::start_on(TempDir::new().unwrap(), &proxy.url(&direct), &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    proxy.hold();
    let began = std::time::Instant::now();
    let reply = ann.client.named("silent-1", ann.client.request(Method::GET, "/api/v1/users/me")).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (503, "store_unavailable"));
    assert!(began.elapsed() < Duration::from_secs(30), "the request itself would have waited longer");
    let message = service.line("silent-1").await["error.message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("the database has not answered in time"), "{message}");
    proxy.mend();
    eventually("it is well again", async || (ann.client.me().await.status == 200).then_some(())).await;
}
