//! Registering: who may, what is accepted, and what everybody is told of what is not.

use serde_json::{Value, json};

use crate::support::{PASSWORD, Service, on_both_stores};

/// `field code` for each fault of a problem.
fn faults(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap();
    let fault = |error: &Value| format!("{} {}", error["field"].as_str().unwrap(), error["code"].as_str().unwrap());
    errors.iter().map(fault).collect()
}

on_both_stores! {
    async fn whoever_registers_gets_an_account_and_its_address(engine) {
        let service = Service::on(engine).await;
        let reply = service.client().register("Ann@Example.com").await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let members: Vec<_> = reply.json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["created_at", "email", "id", "name", "role", "updated_at"]);
        assert_eq!(reply.json["email"], "Ann@Example.com");
        assert_eq!(reply.json["name"], "Ann");
        assert_eq!(reply.json["role"], "user");
        assert_eq!(reply.json["created_at"], reply.json["updated_at"]);
        let location = format!("/api/v1/users/{}", reply.json["id"].as_str().unwrap());
        assert_eq!(reply.header("location"), location);

        let ann = service.client().signed_in("ann@example.com").await;
        let read = ann.client.get(&location).await;
        assert_eq!(read.json, reply.json);
        assert_eq!(read.header("etag"), reply.header("etag"));
        assert_eq!(service.metric("glasshouse_users_registered_total").await, Some(1.0));
    }
}

on_both_stores! {
    async fn a_taken_email_is_refused_whatever_its_case(engine) {
        let service = Service::on(engine).await;
        assert_eq!(service.client().register("ann@example.com").await.status, 201);
        let taken = service.client().register("ANN@example.COM").await;
        assert_eq!((taken.status.as_u16(), taken.code()), (409, "email_taken"));
        assert!(!taken.text.to_lowercase().contains("ann@"), "{}", taken.text);
    }
}

on_both_stores! {
    async fn of_many_who_want_one_address_at_once_one_gets_it(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        let all = futures_util::future::join_all((0..8).map(|_| client.register("ann@example.com"))).await;
        let mut statuses: Vec<_> = all.iter().map(|reply| reply.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_no_value_is_repeated() {
    let service = Service::start().await;
    let body =
        json!({ "email": "nobody-at-all", "password": "short-7", "name": "", "role": "admin", "extra": "canary" });
    let reply = service.client().post("/api/v1/users", &body).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (422, "validation_failed"));
    let expected =
        ["email malformed", "name too_short", "password too_short", "extra unknown_field", "role unknown_field"];
    assert_eq!(faults(&reply.json), expected);
    for value in ["nobody-at-all", "short-7", "canary"] {
        assert!(!reply.text.contains(value), "{}", reply.text);
    }
}

#[tokio::test]
async fn passwords_have_8_to_128_characters_of_any_kind() {
    let service = Service::start().await;
    let attempts = [
        ("1234567".to_owned(), 422),
        ("12345678".to_owned(), 201),
        ("é".repeat(128), 201),
        ("é".repeat(129), 422),
        (" \u{0}\u{1F980} \n ok".to_owned(), 201),
    ];
    for (number, (password, status)) in attempts.into_iter().enumerate() {
        let email = format!("ann{number}@example.com");
        let body = json!({ "email": email, "password": password, "name": "Ann" });
        assert_eq!(service.client().post("/api/v1/users", &body).await.status, status, "{number}");
        if status == 201 {
            assert_eq!(service.client().sign_in(&email, &password).await.status, 200, "{number}");
        }
    }
}

#[tokio::test]
async fn names_have_1_to_100_characters() {
    let service = Service::start().await;
    for (number, (name, status)) in
        [(String::new(), 422), ("é".repeat(100), 201), ("é".repeat(101), 422), ("a\u{7}b".to_owned(), 422)]
            .into_iter()
            .enumerate()
    {
        let body = json!({ "email": format!("ann{number}@example.com"), "password": PASSWORD, "name": name });
        let reply = service.client().post("/api/v1/users", &body).await;
        assert_eq!(reply.status, status, "{name:?}");
        if status == 201 {
            assert_eq!(reply.json["name"], name);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_told_so() {
    let service = Service::start().await;
    let client = service.client();
    for (media, body, status, code) in [
        ("application/json", "{", 400, "body_malformed"),
        ("application/json", r#"{"name":"a","name":"b"}"#, 400, "body_malformed"),
        ("application/json", "[]", 422, "validation_failed"),
        ("application/json; charset=utf-8", "{}", 422, "validation_failed"),
        ("text/plain", "{}", 415, "media_type_unsupported"),
        ("application/merge-patch+json", "{}", 415, "media_type_unsupported"),
    ] {
        let request = client.request(reqwest::Method::POST, "/api/v1/users").header("content-type", media);
        let reply = client.send(request.body(body)).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{media} {body}");
        if status == 415 {
            assert_eq!(reply.header("accept"), "application/json");
        }
    }
    let request = client.request(reqwest::Method::POST, "/api/v1/users").header("content-encoding", "gzip");
    let reply = client.send(request.header("content-type", "application/json").body("packed")).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (415, "content_coding_unsupported"));
    assert_eq!(reply.header("accept-encoding"), "identity");
    let request = client.request(reqwest::Method::POST, "/api/v1/users").header("accept", "text/html");
    let reply = client.send(request.json(&json!({}))).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (406, "not_acceptable"));
    assert_eq!(service.metric("glasshouse_users_registered_total").await, Some(0.0));
}

#[tokio::test]
async fn an_account_outlives_the_service() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display());
    for restarted in [false, true] {
        let service = Service::start_on(tempfile::TempDir::new().unwrap(), &url, &[]).await;
        if !restarted {
            assert_eq!(service.client().register("ann@example.com").await.status, 201);
        }
        assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200);
        service.stop().await.outcome.unwrap();
    }
}
