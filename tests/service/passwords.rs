//! Passwords in Unicode, and stored hashes of other kinds.

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
use reqwest::Method;
use serde_json::json;

use crate::support::{Service, on_both_stores};

const NFC: &str = "canary-p\u{e4}ssw\u{f6}rd-\u{1100}\u{1161}";
const NFD: &str = "canary-pa\u{308}sswo\u{308}rd-\u{ac00}";

/// Puts another hash into the database in place of the account's own.
async fn store_hash(service: &Service, hash: &str) {
    let sql = format!("UPDATE users SET password_hash = '{hash}'");
    service.execute(Box::leak(sql.into_boxed_str())).await;
}

on_both_stores! {
    async fn password_in_another_unicode_form_signs_in(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        let body = json!({ "email": "ann@example.com", "password": NFC, "name": "Ann" });
        assert_eq!(client.post("/api/v1/users", &body).await.status, 201);
        for password in [NFC, NFD] {
            assert_eq!(client.sign_in("ann@example.com", password).await.status, 200);
        }
        let granted = client.sign_in("ann@example.com", NFD).await;
        let ann = client.as_bearer(granted.json["access_token"].as_str().unwrap());
        let id = ann.me().await.json["id"].as_str().unwrap().to_owned();
        assert_eq!(ann.change_password(&id, NFD, NFC).await.status, 204, "an old password is compared likewise");
    }
}

on_both_stores! {
    async fn registration_with_key_is_repeated_with_password_in_another_unicode_form(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        for password in [NFD, NFC] {
            let body = json!({ "email": "ann@example.com", "password": password, "name": "Ann" });
            let request = client.request(Method::POST, "/api/v1/users").header("idempotency-key", "a-key");
            let reply = client.send(request.json(&body)).await;
            assert_eq!(reply.status, 201, "{}", reply.text);
        }
    }
}

on_both_stores! {
    async fn hash_of_password_as_sent_is_verified_and_replaced(engine) {
        let service = Service::on(engine).await;
        let client = service.client();
        client.register("ann@example.com").await;
        store_hash(&service, &Argon2::default().hash_password(NFD.as_bytes()).unwrap().to_string()).await;
        assert_eq!(client.sign_in("ann@example.com", NFC).await.status, 401, "the hash is of the other form");
        // Several at once: one replaces the hash, and none is refused for that.
        let all = futures_util::future::join_all((0..4).map(|_| client.sign_in("ann@example.com", NFD))).await;
        assert!(all.iter().all(|reply| reply.status == 200), "{all:?}");
        for password in [NFC, NFD] {
            assert_eq!(client.sign_in("ann@example.com", password).await.status, 200);
        }
    }
}

#[tokio::test]
async fn hash_with_other_parameters_is_verified_and_replaced() {
    let service = Service::start().await;
    let client = service.client();
    client.register("ann@example.com").await;
    let weak = Argon2::new(Algorithm::Argon2i, Version::V0x13, Params::new(1024, 1, 1, None).unwrap());
    store_hash(&service, &weak.hash_password(NFC.as_bytes()).unwrap().to_string()).await;
    let hashes = async || service.metric("glasshouse_password_hash_duration_seconds_count").await.unwrap();
    for expected in [2.0, 1.0] {
        let before = hashes().await;
        assert_eq!(client.sign_in("ann@example.com", NFC).await.status, 200);
        assert!((hashes().await - before - expected).abs() < 0.1, "one comparison, and at first one new hash");
    }
}

#[tokio::test]
async fn hash_of_another_kind_is_refused_with_a_warning_and_is_no_500() {
    let service = Service::start().await;
    let client = service.client();
    let registered = client.register("ann@example.com").await;
    let ann = client.signed_in("ann@example.com").await;
    store_hash(&service, "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW").await;
    let refused = client.sign_in("ann@example.com", "abc123xyz").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (401, "credentials_wrong"));
    let refused = ann.client.change_password(&ann.id, "abc123xyz", NFC).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "password_wrong"));
    let line = service.line_of("glasshouse::auth").await;
    assert_eq!((line["level"].as_str(), &line["user.id"]), (Some("WARN"), &registered.json["id"]));
    assert!(!line.to_string().contains("$2b$"), "{line}");
}
