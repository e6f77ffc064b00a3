//! Which request it was, and whose: `X-Request-ID` on every answer, and the client that a proxy speaks for.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Engine, Service};

#[tokio::test]
async fn every_answer_names_its_request() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__MAX_BODY_BYTES", "1KiB")]).await;
    let ann = service.client().joined("ann@example.com").await;
    let long = "x".repeat(1025);
    for (method, path, media, body, status) in [
        (Method::GET, "/api/v1/users/me", "", "", 200),
        (Method::GET, "/health/live", "", "", 200),
        (Method::GET, "/api/v1/openapi.json", "", "", 200),
        (Method::GET, "/.well-known/jwks.json", "", "", 200),
        (Method::POST, "/api/v1/auth/refresh", "application/json", "{", 400),
        (Method::POST, "/api/v1/auth/refresh", "application/json", r#"{"refresh_token":"x"}"#, 401),
        (Method::GET, "/api/v1/users", "", "", 403),
        (Method::GET, "/nowhere", "", "", 404),
        (Method::DELETE, "/api/v1/users/me", "", "", 405),
        (Method::POST, "/api/v1/users", "application/json", long.as_str(), 413),
        (Method::POST, "/api/v1/users", "text/plain", "{}", 415),
        (Method::POST, "/api/v1/users", "application/json", "{}", 422),
    ] {
        let request = || ann.client.request(method.clone(), path).header("content-type", media).body(body.to_owned());
        let named = ann.client.send(request().header("x-request-id", "mine-1.~_")).await;
        assert_eq!((named.status.as_u16(), named.header("x-request-id")), (status, "mine-1.~_"), "{method} {path}");
        let unnamed = ann.client.send(request()).await;
        let id: Uuid = unnamed.header("x-request-id").parse().unwrap();
        assert_eq!(id.get_version_num(), 7, "{method} {path}");
        if status >= 400 {
            assert_eq!(unnamed.json["request_id"], id.to_string());
            assert_eq!(unnamed.json["status"], status);
            unnamed.code();
        }
    }
}

#[tokio::test]
async fn a_name_that_could_harm_is_replaced() {
    let service = Service::start().await;
    let client = service.client();
    let long = "x".repeat(129);
    let harmful: [&[u8]; 7] = [b"", b"a b", b"a\"b", b"{}", b"\xff\xfe", "é".as_bytes(), long.as_bytes()];
    for harmful in harmful {
        let request = client.request(Method::GET, "/nowhere");
        let reply = client.send(request.header("x-request-id", harmful)).await;
        let id: Uuid = reply.header("x-request-id").parse().unwrap();
        assert_eq!(reply.json["request_id"], id.to_string());
    }
    let longest = "x".repeat(128);
    let reply = client.named(&longest, client.request(Method::GET, "/nowhere")).await;
    assert_eq!(reply.header("x-request-id"), longest);
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_told_what_it_has() {
    let service = Service::start().await;
    let client = service.client();
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/users", "GET,HEAD,POST"),
        (Method::POST, "/api/v1/users/0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b", "DELETE,GET,HEAD,PATCH,PUT"),
        (Method::GET, "/api/v1/auth/sign-in", "POST"),
        (Method::OPTIONS, "/api/v1/users/me", "GET,HEAD"),
    ] {
        let reply = client.send(client.request(method, path)).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (405, "method_not_allowed"), "{path}");
        let mut told: Vec<_> = reply.header("allow").split(',').map(str::trim).collect();
        told.sort_unstable();
        assert_eq!(told.join(","), allowed);
    }
}

#[tokio::test]
async fn times_are_told_but_not_where_they_are_nobodys_business() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let timing = ann.client.me().await.header("server-timing").to_owned();
    assert!(timing.starts_with("total;dur=") && timing.ends_with(";desc=\"1 query\""), "{timing}");
    assert_eq!(service.client().refresh("x").await.header("server-timing"), "");
    let password = ann.client.change_password(&ann.id, "wrong", "another canary").await;
    assert_eq!(password.header("server-timing"), "");
    let without = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__SERVER_TIMING", "false")]);
    let reply = without.await.client().post("/api/v1/users", &json!({})).await;
    assert_eq!(reply.header("server-timing"), "");
}

#[tokio::test]
async fn whose_word_on_the_client_counts_is_said_by_the_settings() {
    for (trusted, address, scheme) in [("", "127.0.0.1", "http"), ("127.0.0.0/8", "198.51.100.7", "https")] {
        let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_HTTP__TRUSTED_PROXIES", trusted)]).await;
        let request = service.client().request(Method::GET, "/nowhere");
        let request =
            request.header("x-forwarded-for", "203.0.113.9, 198.51.100.7").header("x-forwarded-proto", "https");
        service.client().send(request).await;
        let lines = service.stop().await.lines;
        let line = lines.iter().find(|line| line["http.route"] == "_unmatched").expect("it is told");
        assert_eq!((line["client.address"].as_str(), line["url.scheme"].as_str()), (Some(address), Some(scheme)));
    }
}
