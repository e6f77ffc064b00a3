//! Writes that were sent when the request's deadline came: their result is awaited and answered.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection, Row};
use tempfile::TempDir;

use crate::support::{Engine, PASSWORD, Postgres, Service, eventually, on_both_stores};

/// Makes each COMMIT that wrote to these tables wait until nobody holds the advisory lock 42.
const COMMIT_WAITS: &str = "
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE OR DELETE ON users
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE OR DELETE ON sessions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()";
const WAITING: &str = "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The deadline of each request: long enough to come to its COMMIT on a busy machine.
const DEADLINE: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_that_commits_after_the_deadline_is_answered_as_done() {
    let url = Postgres::get().database().await;
    let settings = [("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "1m"), ("GLASSHOUSE_STORE__MAX_CONNECTIONS", "12")];
    let service = Service::start_on(TempDir::new().unwrap(), &url, &settings).await;
    let root = service.admin("root@example.com").await;
    let mut users = Vec::new();
    for name in ["change", "password", "remove", "refresh", "sign-out", "sign-in", "changed-by-admin"] {
        users.push(service.client().joined(&format!("{name}@example.com")).await);
    }
    let [change, password, remove, refresh, sign_out, sign_in, changed] = &users[..] else { unreachable!() };
    let path = |id: &str| format!("/api/v1/users/{id}");
    let nobody = service.client();
    let registration = |email: &str| json!({ "email": email, "name": "Ann", "password": PASSWORD });
    let rename = json!({ "name": "Changed" });
    let requests = [
        ("register", 201, nobody.request(Method::POST, "/api/v1/users").json(&registration("new@example.com"))),
        (
            "register with a key",
            201,
            nobody
                .request(Method::POST, "/api/v1/users")
                .header("idempotency-key", "a-key")
                .json(&registration("newer@example.com")),
        ),
        ("change", 200, change.client.request(Method::PATCH, &path(&change.id)).header("if-match", "*").json(&rename)),
        (
            "change by an admin",
            200,
            root.client.request(Method::PATCH, &path(&changed.id)).header("if-match", "*").json(&rename),
        ),
        (
            "change a password",
            204,
            password
                .client
                .request(Method::PUT, &format!("{}/password", path(&password.id)))
                .json(&json!({ "old_password": PASSWORD, "new_password": "another canary" })),
        ),
        ("remove", 204, remove.client.request(Method::DELETE, &path(&remove.id))),
        (
            "refresh",
            200,
            nobody
                .request(Method::POST, "/api/v1/auth/refresh")
                .json(&json!({ "refresh_token": refresh.refresh_token })),
        ),
        (
            "sign in",
            200,
            nobody
                .request(Method::POST, "/api/v1/auth/sign-in")
                .json(&json!({ "email": sign_in.email, "password": PASSWORD })),
        ),
        ("sign out", 204, sign_out.client.request(Method::POST, "/api/v1/auth/sign-out")),
    ];

    let mut control = PgConnection::connect(&url).await.unwrap();
    control.execute(COMMIT_WAITS).await.unwrap();
    control.execute("SELECT pg_advisory_lock(42)").await.unwrap();
    let count = i64::try_from(requests.len()).unwrap();
    let timeout = DEADLINE.as_secs().to_string();
    let replies = futures_util::future::join_all(requests.map(|(what, expected, request)| {
        let request = request.header("x-request-timeout", &timeout);
        let client = nobody.clone();
        async move { (what, expected, client.send(request).await) }
    }));
    let release = async {
        eventually("every COMMIT waits", async || {
            let waiting: i64 = control.fetch_one(WAITING).await.unwrap().get(0);
            (waiting == count).then_some(())
        })
        .await;
        let waiting_since = Instant::now();
        eventually("every deadline is over", async || (waiting_since.elapsed() > DEADLINE).then_some(())).await;
        control.execute("SELECT pg_advisory_unlock(42)").await.unwrap();
    };
    let (replies, ()) = tokio::join!(replies, release);
    for (what, expected, reply) in replies {
        assert_eq!(reply.status.as_u16(), expected, "{what}: {}", reply.text);
    }
}

on_both_stores! {
    async fn write_that_was_not_sent_is_refused_at_the_deadline(engine) {
        let settings = [("GLASSHOUSE_STORE__MAX_CONNECTIONS", "1"), ("GLASSHOUSE_STORE__ACQUIRE_TIMEOUT", "1m")];
        let service = Service::start_with(engine, &settings).await;
        let ann = service.client().joined("ann@example.com").await;
        let lock = service.lock().await;
        // One such statement asked who Ann is after she had signed in; the next is that of the first write.
        let system = if engine == Engine::Sqlite { "sqlite" } else { "postgresql" };
        let recognised = format!(
            "db_client_operation_duration_seconds_count{{db_collection_name=\"sessions\",db_operation_name=\"SELECT\",\
             db_query_summary=\"SELECT sessions\",db_system_name=\"{system}\",error_type=\"\"}}"
        );
        let change = |name: &str| {
            let request = ann.client.request(Method::PATCH, &format!("/api/v1/users/{}", ann.id));
            request.header("if-match", "*").json(&json!({ "name": name }))
        };
        let refused = async {
            eventually("the first write has the connection", async || {
                let is_recognised = service.metric(&recognised).await? > 1.5;
                (is_recognised && service.connections_used().await > 0.5).then_some(())
            }).await;
            let reply = ann.client.send(change("Never").header("x-request-timeout", "0.3")).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (504, "timeout"));
            lock.go().await;
        };
        let (first, ()) = tokio::join!(ann.client.send(change("First")), refused);
        assert_eq!(first.status, 200, "{}", first.text);
        assert_eq!(ann.client.me().await.json["name"], "First");
    }
}
