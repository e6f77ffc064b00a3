//! Signing in, staying signed in, signing out.

use chrono::TimeDelta;
use glasshouse::domain::auth::{Keys, SigningAlgorithm};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{PASSWORD, Service, on_both_stores};

on_both_stores! {
    async fn who_signs_in_is_known_until_it_signs_out(engine) {
        let service = Service::on(engine).await;
        assert_eq!(service.client().register("ann@example.com").await.status, 201);
        let granted = service.client().sign_in("ANN@example.com", PASSWORD).await;
        assert_eq!(granted.status, 200, "{}", granted.text);
        assert_eq!(granted.header("cache-control"), "no-store");
        assert_eq!((&granted.json["token_type"], &granted.json["expires_in"]), (&json!("Bearer"), &json!(900)));
        let ann = service.client().signed_in("ann@example.com").await;
        assert_eq!(ann.client.me().await.json["email"], "ann@example.com");

        assert_eq!(ann.client.sign_out().await.status, 204);
        let ended = ann.client.me().await;
        assert_eq!((ended.status.as_u16(), ended.code()), (401, "session_ended"));
        assert!(ended.header("www-authenticate").starts_with("Bearer error=\"invalid_token\""), "{ended:?}");
        assert_eq!(service.client().refresh(&ann.refresh_token).await.code(), "refresh_token_invalid");
        let other = service.client().as_bearer(granted.json["access_token"].as_str().unwrap());
        assert_eq!(other.me().await.status, 200, "another session goes on");
    }
}

#[tokio::test]
async fn a_guess_ends_nobodys_session() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let guesses = [String::new(), "x".to_owned(), "A".repeat(64), ann.access_token.clone()];
    for guess in guesses {
        let refused = service.client().refresh(&guess).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (401, "refresh_token_invalid"), "{guess}");
    }
    assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 200);
}

on_both_stores! {
    async fn a_changed_password_ends_every_other_session(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let elsewhere = service.client().signed_in("ann@example.com").await;
        let bob = service.client().joined("bob@example.com").await;
        let wrong = ann.client.change_password(&ann.id, "not the password", "another canary").await;
        assert_eq!((wrong.status.as_u16(), wrong.code()), (403, "password_wrong"));
        assert_eq!(elsewhere.client.me().await.status, 200);

        assert_eq!(ann.client.change_password(&ann.id, PASSWORD, "another canary").await.status, 204);
        assert_eq!(ann.client.me().await.status, 200);
        assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 200);
        assert_eq!(elsewhere.client.me().await.code(), "session_ended");
        assert_eq!(service.client().refresh(&elsewhere.refresh_token).await.status, 401);
        assert_eq!(bob.client.me().await.status, 200);
        assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 401);
        assert_eq!(service.client().sign_in("ann@example.com", "another canary").await.status, 200);
    }
}

on_both_stores! {
    async fn a_removed_users_tokens_stop_working(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        assert_eq!(ann.client.remove(&ann.id).await.status, 204);
        assert_eq!(ann.client.me().await.code(), "session_ended");
        assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 401);
        assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.code(), "credentials_wrong");
        let again = service.client().joined("ann@example.com").await;
        assert_ne!(again.id, ann.id, "the address is free, the account is another one");
        assert_eq!(ann.client.me().await.status, 401);
    }
}

/// An unknown address and a wrong password differ neither in what is said nor in what is done.
#[tokio::test]
async fn nobody_learns_which_addresses_have_accounts() {
    let service = Service::start().await;
    service.client().joined("ann@example.com").await;
    let hashes = async || service.metric("glasshouse_password_hash_duration_seconds_count").await.unwrap();
    let long = "x".repeat(129);
    let mut answers = Vec::new();
    for (email, password) in [
        ("ann@example.com", "a wrong password"),
        ("bob@example.com", "a wrong password"),
        ("no address at all", "a wrong password"),
        ("ann@example.com", "short"),
        ("ann@example.com", ""),
        ("ann@example.com", long.as_str()),
    ] {
        let before = hashes().await;
        let mut reply = service.client().sign_in(email, password).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "credentials_wrong"));
        assert!((hashes().await - before - 1.0).abs() < 0.1, "one hash each time: {email} {password}");
        assert_eq!(reply.header("server-timing"), "");
        reply.json.as_object_mut().unwrap().retain(|name, _| !name.ends_with("_id"));
        let names: Vec<_> = reply.headers.keys().map(ToString::to_string).collect();
        answers.push((names, reply.header("content-length").to_owned(), reply.json));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    let failed = service.metric("glasshouse_sign_ins_total{outcome=\"credentials_wrong\"}").await;
    assert_eq!(failed, Some(6.0));
}

#[tokio::test]
async fn an_access_token_lives_for_15_minutes_and_a_refresh_token_for_30_days() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    service.pass(TimeDelta::minutes(14));
    assert_eq!(ann.client.me().await.status, 200);
    service.pass(TimeDelta::minutes(1));
    let expired = ann.client.me().await;
    assert_eq!((expired.status.as_u16(), expired.code()), (401, "token_expired"));

    service.pass(TimeDelta::days(29));
    let granted = service.client().refresh(&ann.refresh_token).await;
    assert_eq!(granted.status, 200);
    service.pass(TimeDelta::days(30));
    let next = granted.json["refresh_token"].as_str().unwrap();
    assert_eq!(service.client().refresh(next).await.code(), "refresh_token_invalid");
    assert_eq!(service.client().signed_in("ann@example.com").await.client.me().await.status, 200);
}

#[tokio::test]
async fn a_token_from_the_future_is_not_valid_yet() {
    let service = Service::start().await;
    service.pass(TimeDelta::hours(1));
    let ann = service.client().joined("ann@example.com").await;
    service.pass(TimeDelta::hours(-1));
    assert_eq!(ann.client.me().await.code(), "token_not_yet");
}

/// The key of before, the key of now, and both on the way from one to the other.
#[tokio::test]
async fn tokens_survive_a_rotation_of_keys() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display());
    let (old, new) =
        (Keys::generate_pem(SigningAlgorithm::EdDsa).unwrap(), Keys::generate_pem(SigningAlgorithm::EdDsa).unwrap());
    let kept = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let public = |name: &str, private: &SecretString| kept(name, &public_pem(private.expose_secret()));
    let (old_public, new_public) = (public("old.pub", &old), public("new.pub", &new));
    let (old, new) = (kept("old.pem", old.expose_secret()), kept("new.pem", new.expose_secret()));
    let start = async |key: &str, others: &str| {
        let settings =
            [("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", key), ("GLASSHOUSE_AUTH__VERIFICATION_KEY_FILES", others)];
        Service::start_on(TempDir::new().unwrap(), &url, &settings).await
    };

    let before = start(&old, "").await;
    let ann = before.client().joined("ann@example.com").await;
    let announcing = start(&old, &new_public).await;
    let jwks = announcing.client().get("/.well-known/jwks.json").await;
    assert_eq!(jwks.json["keys"].as_array().unwrap().len(), 2, "{}", jwks.text);
    let rotated = start(&new, &old_public).await;
    assert_eq!(rotated.client().as_bearer(&ann.access_token).me().await.status, 200);
    let newer = rotated.client().signed_in("ann@example.com").await;
    assert_eq!(announcing.client().as_bearer(&newer.access_token).me().await.status, 200);
    let refused = before.client().as_bearer(&newer.access_token).me().await;
    assert_eq!(refused.code(), "token_unknown_key");
    let after = start(&new, "").await;
    assert_eq!(after.client().as_bearer(&ann.access_token).me().await.code(), "token_unknown_key");
    assert_eq!(after.client().as_bearer(&newer.access_token).me().await.status, 200);
}

/// The public half of a key, as `openssl pkey -pubout` writes it.
fn public_pem(private: &str) -> String {
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    let keys = Keys::parse(&private.into(), &[]).unwrap();
    let jwk = serde_json::to_value(&keys.public().keys[0]).unwrap();
    let point = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    // RFC 8410, section 4: the one algorithm, then the 32 octets.
    let der = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &point].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

on_both_stores! {
    async fn what_has_expired_is_swept(engine) {
        let folder = TempDir::new().unwrap();
        let url = match engine {
            crate::support::Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
            crate::support::Engine::Postgres => crate::support::Postgres::get().database().await,
        };
        let before = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
        let ann = before.client().joined("ann@example.com").await;
        before.pass(TimeDelta::days(-31));
        for _ in 0..3 {
            assert_eq!(before.client().sign_in("ann@example.com", PASSWORD).await.status, 200);
        }
        before.stop().await.outcome.unwrap();

        let after = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
        crate::support::eventually("three sessions are swept", async || {
            let swept = after.metric("glasshouse_sessions_swept_total").await?;
            (swept > 0.0).then(|| assert!((swept - 3.0).abs() < 0.1, "{swept}"))
        }).await;
        assert_eq!(after.client().refresh(&ann.refresh_token).await.status, 200);
        let line = after.line_of("glasshouse::worker").await;
        assert_eq!(line["sessions"], 3);
    }
}
