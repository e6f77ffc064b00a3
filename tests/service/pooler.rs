//! Behind a `PgBouncer` in transaction mode, where a connection of the server is one's own for a transaction.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Lock, PASSWORD, PgBouncer, Postgres, Service, Session, at_work, eventually};

/// What an operator sets.
const POOLER: [(&str, &str); 2] = [("GLASSHOUSE_STORE__POOLER", "true"), ("GLASSHOUSE_STORE__MIGRATE", "false")];

/// A service behind a pooler that has so many connections to the server, which is migrated directly; and the server's
/// own URL.
async fn behind(server_connections: &str, more: &[(&str, &str)]) -> (Service, PgBouncer, String) {
    let direct = Postgres::get().database().await;
    drop(Service::start_on(TempDir::new().unwrap(), &direct, &[]).await.stop().await);
    let pooler = PgBouncer::start(&direct, &[("default_pool_size", server_connections)]);
    let settings: Vec<_> = POOLER.iter().chain(more).copied().collect();
    let service = Service::start_on(TempDir::new().unwrap(), &pooler.url(), &settings).await;
    (service, pooler, direct)
}

fn change(ann: &Session, name: &str) -> reqwest::RequestBuilder {
    let request = ann.client.request(Method::PATCH, &format!("/api/v1/users/{}", ann.id));
    request.header("if-match", "*").json(&json!({ "name": name }))
}

/// Everything that one user can do, once.
async fn live(service: &Service, number: usize) {
    let email = format!("user{number}@example.com");
    let ann = service.client().joined(&email).await;
    assert_eq!(service.client().register(&email).await.code(), "email_taken");
    let name = format!("User {number}");
    assert_eq!(ann.client.send(change(&ann, &name)).await.json["name"], name.as_str());
    assert_eq!(ann.client.me().await.json["name"], name.as_str());
    let refreshed = service.client().refresh(&ann.refresh_token).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text);
    assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 200, "a retry within the reuse interval");
    assert_eq!(service.client().refresh(refreshed.json["refresh_token"].as_str().unwrap()).await.status, 200);
    assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 401, "it was used");
    let ann = service.client().signed_in(&email).await;
    assert_eq!(ann.client.change_password(&ann.id, PASSWORD, "another canary").await.status, 204);
    assert_eq!(service.client().sign_in(&email, PASSWORD).await.status, 401);
    assert_eq!(ann.client.sign_out().await.status, 204);
    let granted = service.client().sign_in(&email, "another canary").await;
    let ann = service.client().as_bearer(granted.json["access_token"].as_str().unwrap());
    let own = ann.me().await;
    assert_eq!(ann.remove(own.json["id"].as_str().unwrap()).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_for_many_who_share_two_connections() {
    let settings = [("GLASSHOUSE_STORE__MAX_CONNECTIONS", "8")];
    let (service, pooler, direct) = behind("2", &settings).await;
    let settings = [POOLER.as_slice(), &settings].concat();
    let other = Service::start_on(TempDir::new().unwrap(), &pooler.url(), &settings).await;
    // Two services: what one prepared under a name, the other would run.
    let all = (0..16).map(|number| live(if number % 2 == 0 { &service } else { &other }, number));
    join_all(all).await;
    eventually("nothing is left at work", async || (at_work(&direct).await == 0).then_some(())).await;
    for service in [service, other] {
        let stopped = service.stop().await;
        stopped.outcome.unwrap();
        let errors: Vec<_> = stopped.lines.iter().filter(|line| line["level"] == "ERROR").collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_statement_is_ended_at_its_limit_by_the_server_itself() {
    let settings = [("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "500ms"), ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1m")];
    let (service, _pooler, direct) = behind("1", &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    let lock = Lock::at(&direct).await;
    let reply = ann.client.named("slow-1", change(&ann, "Slow")).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (503, "store_unavailable"));
    let message = service.line("slow-1").await["error.message"].as_str().unwrap().to_owned();
    assert!(message.contains("57014"), "{message}");
    assert_eq!(ann.client.me().await.status, 200, "the only connection to the server is free, while the lock is held");
    assert_eq!(at_work(&direct).await, 0);
    lock.go().await;
    assert_eq!(ann.client.send(change(&ann, "Quick")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_whose_client_is_gone_is_ended() {
    let settings = [("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "1m"), ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1m")];
    let (service, _pooler, direct) = behind("1", &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    let lock = Lock::at(&direct).await;
    tokio::select! {
        reply = ann.client.send(change(&ann, "Gone")) => panic!("nobody was to wait for {reply:?}"),
        () = eventually("it is under way", async || (at_work(&direct).await == 1).then_some(())) => {}
    }
    eventually("PostgreSQL has ended it", async || (at_work(&direct).await == 0).then_some(())).await;
    lock.go().await;
    assert_eq!(ann.client.me().await.json["name"], "Ann", "nothing of it was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_nobody_has_told_of_is_not_used() {
    let direct = Postgres::get().database().await;
    for (swallowed, said) in [("", "unsupported startup parameter"), ("extra_float_digits, options", "store.pooler")] {
        let pooler = PgBouncer::start(&direct, &[("ignore_startup_parameters", swallowed)]);
        let service = Service::started_on(TempDir::new().unwrap(), &pooler.url(), &[]);
        let line = service.line_of("glasshouse::app").await;
        eventually("the log says why", async || {
            let lines = service.lines();
            let told = |line: &serde_json::Value| line["error.message"].as_str().is_some_and(|it| it.contains(said));
            lines.iter().any(told).then_some(())
        })
        .await;
        assert_eq!(service.internal("/health/ready").await.status(), 503, "{line}");
    }
}
