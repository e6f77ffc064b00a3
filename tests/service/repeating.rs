//! Registering under an `Idempotency-Key`: once, however often it is sent.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, PASSWORD, Postgres, Reply, Service, on_both_stores};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

fn ann() -> Value {
    json!({ "email": "Ann@example.com", "password": PASSWORD, "name": "Ann" })
}

async fn register(client: &Client, key: &str, body: &Value) -> Reply {
    let request = client.request(Method::POST, "/api/v1/users").header("idempotency-key", key);
    client.send(request.json(body)).await
}

/// Everything that an answer says of the account.
fn told(reply: &Reply) -> (u16, String, String, String) {
    let header = |name| reply.header(name).to_owned();
    (reply.status.as_u16(), header("location"), header("etag"), reply.text.clone())
}

async fn accounts(service: &Service) -> usize {
    let admin = service.admin("root@example.com").await;
    let page = admin.client.list("?role=user").await;
    page.json["users"].as_array().unwrap().len()
}

on_both_stores! {
    async fn a_repeated_request_gets_the_first_answer(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        let first = register(&client, KEY, &ann()).await;
        assert_eq!(first.status, 201, "{}", first.text);
        assert!(!first.header("location").is_empty() && !first.header("etag").is_empty());
        // In quotes, as the draft has it, and with the members of the body in another order.
        for key in [KEY, &format!("\"{KEY}\"")] {
            assert_eq!(told(&register(&client, key, &ann()).await), told(&first));
        }
        let request = client.request(Method::POST, "/api/v1/users").header("idempotency-key", KEY);
        let body = format!(" {{\"password\":\"{PASSWORD}\",\"name\":\"Ann\",\"email\":\"Ann@example.com\"}}");
        let again = client.send(request.header("content-type", "application/json").body(body)).await;
        assert_eq!(told(&again), told(&first));
        assert_eq!(service.metric("glasshouse_users_registered_total").await, Some(1.0));
        assert_eq!(accounts(&service).await, 1);
    }
}

on_both_stores! {
    async fn the_first_answer_stays_whatever_becomes_of_the_account(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        let first = register(&client, KEY, &ann()).await;
        let session = client.signed_in("ann@example.com").await;
        let other = json!({ "email": "lee@example.com", "name": "Lee" });
        let changed = session.client.change(&session.id, "*", &other).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert_eq!(told(&register(&client, KEY, &ann()).await), told(&first), "after another address and name");
        assert_eq!(session.client.change_password(&session.id, PASSWORD, "another password").await.status, 204);
        assert_eq!(told(&register(&client, KEY, &ann()).await), told(&first), "after another password");
        assert_eq!(session.client.remove(&session.id).await.status, 204);
        assert_eq!(told(&register(&client, KEY, &ann()).await), told(&first), "after it was removed");
        assert_eq!(accounts(&service).await, 0, "it does not come back");
    }
}

on_both_stores! {
    async fn of_many_at_once_one_makes_it_and_all_get_its_answer(engine) {
        let service = Service::on(engine).await;
        let (client, body) = (service.client(), ann());
        let all = futures_util::future::join_all((0..8).map(|_| register(&client, KEY, &body))).await;
        for reply in &all {
            assert_eq!(told(reply), told(&all[0]));
        }
        assert_eq!(all[0].status, 201, "{}", all[0].text);
        assert_eq!(service.metric("glasshouse_users_registered_total").await, Some(1.0));
        assert_eq!(accounts(&service).await, 1);
    }
}

on_both_stores! {
    async fn of_many_with_one_key_and_two_bodies_one_body_wins(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        let bodies = ["ann@example.com", "bob@example.com"]
            .map(|email| json!({ "email": email, "password": PASSWORD, "name": "Ann" }));
        let requests = (0..8).map(|number| register(&client, KEY, &bodies[number % 2]));
        let all = futures_util::future::join_all(requests).await;
        let mut statuses: Vec<_> = all.iter().map(|reply| reply.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 201, 201, 201, 422, 422, 422, 422]);
        assert_eq!(accounts(&service).await, 1);
    }
}

on_both_stores! {
    async fn a_key_with_another_body_is_refused_and_tells_nothing(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        let first = register(&client, KEY, &ann()).await;
        for (member, value) in [
            ("email", "bob@example.com"),
            ("email", "ann@example.com"),
            ("name", "Anna"),
            ("password", "another password"),
        ] {
            let mut body = ann();
            body[member] = json!(value);
            let refused = register(&client, KEY, &body).await;
            assert_eq!((refused.status.as_u16(), refused.code()), (422, "idempotency_key_reused"), "{member}");
            assert!(!refused.text.contains(first.json["id"].as_str().unwrap()), "{}", refused.text);
            assert!(refused.header("location").is_empty() && refused.header("etag").is_empty());
        }
        assert_eq!(told(&register(&client, KEY, &ann()).await), told(&first));
        assert_eq!(accounts(&service).await, 1);
    }
}

on_both_stores! {
    async fn what_was_refused_can_be_tried_again_under_its_key(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        let other = client.joined("ann@example.com").await;
        for _ in 0..2 {
            let taken = register(&client, KEY, &ann()).await;
            assert_eq!((taken.status.as_u16(), taken.code()), (409, "email_taken"));
        }
        let mut faulty = ann();
        faulty["name"] = json!("");
        assert_eq!(register(&client, KEY, &faulty).await.status, 422);
        assert_eq!(other.client.remove(&other.id).await.status, 204);
        let first = register(&client, KEY, &ann()).await;
        assert_eq!(first.status, 201, "{}", first.text);
        assert_eq!(told(&register(&client, KEY, &ann()).await), told(&first));
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_told_so_and_nothing_is_done() {
    let service = Service::start().await;
    let client = service.client();
    for key in ["", "\"\"", "a b", "\"a", "a, b", &"a".repeat(256)] {
        let refused = register(&client, key, &ann()).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "idempotency_key_malformed"), "{key}");
        assert!(refused.json["detail"].as_str().unwrap().contains("Idempotency-Key"), "{}", refused.text);
    }
    let request =
        client.request(Method::POST, "/api/v1/users").header("idempotency-key", "a").header("idempotency-key", "a");
    assert_eq!(client.send(request.json(&ann())).await.status, 400);
    assert_eq!(service.metric("glasshouse_users_registered_total").await, Some(0.0));
    assert_eq!(register(&client, &"a".repeat(255), &ann()).await.status, 201);
}

on_both_stores! {
    async fn a_key_is_forgotten_after_a_day(engine) {
        let folder = TempDir::new().unwrap();
        let url = match engine {
            crate::support::Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
            crate::support::Engine::Postgres => Postgres::get().database().await,
        };
        let service = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
        let old = json!({ "email": "old@example.com", "password": PASSWORD, "name": "Ann" });
        service.pass(-TimeDelta::hours(24));
        assert_eq!(register(&service.client(), "old", &old).await.status, 201);
        service.pass(TimeDelta::minutes(5));
        let first = register(&service.client(), KEY, &ann()).await;
        service.stop().await.outcome.unwrap();

        // The sweeper begins with a sweep.
        let service = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
        let line = crate::support::eventually("the sweep is told", async || {
            service.lines().into_iter().find(|line| line["idempotency_keys"].is_u64())
        }).await;
        assert_eq!(line["idempotency_keys"], 1);
        let forgotten = register(&service.client(), "old", &old).await;
        assert_eq!((forgotten.status.as_u16(), forgotten.code()), (409, "email_taken"));
        assert_eq!(told(&register(&service.client(), KEY, &ann()).await), told(&first));
    }
}
