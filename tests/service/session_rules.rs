//! What the settings say of sessions: how many an account has, how recent a sign-in must be, how far clocks may differ.

use chrono::TimeDelta;
use serde_json::json;

use crate::support::{PASSWORD, Service, on_both_stores};

on_both_stores! {
    async fn sign_in_beyond_max_sessions_ends_the_oldest_session(engine) {
        let service = Service::start_with(engine, &[("GLASSHOUSE_AUTH__MAX_SESSIONS", "2")]).await;
        let oldest = service.client().joined("ann@example.com").await;
        service.pass(TimeDelta::seconds(1));
        let second = service.client().signed_in("ann@example.com").await;
        assert_eq!(oldest.client.me().await.status, 200);
        service.pass(TimeDelta::seconds(1));
        let third = service.client().signed_in("ann@example.com").await;
        assert_eq!(oldest.client.me().await.code(), "session_ended");
        assert_eq!(service.client().refresh(&oldest.refresh_token).await.status, 401);
        for session in [second, third] {
            assert_eq!(session.client.me().await.status, 200);
        }
    }
}

on_both_stores! {
    async fn address_change_and_removal_need_a_recent_sign_in(engine) {
        let service = Service::start_with(engine, &[("GLASSHOUSE_AUTH__ACCESS_TOKEN_LIFETIME", "1h")]).await;
        let ann = service.client().joined("ann@example.com").await;
        let root = service.admin("root@example.com").await;
        service.pass(TimeDelta::minutes(16));
        let granted = service.client().refresh(&ann.refresh_token).await;
        let refreshed = service.client().as_bearer(granted.json["access_token"].as_str().unwrap());
        let address = json!({ "email": "lee@example.com" });
        let whole = json!({ "email": "lee@example.com", "name": "Ann" });
        for (what, reply) in [
            ("change", ann.client.change(&ann.id, "*", &address).await),
            ("replace", ann.client.replace(&ann.id, "*", &whole).await),
            ("remove", ann.client.remove(&ann.id).await),
            ("change after a refresh", refreshed.change(&ann.id, "*", &address).await),
            ("role given by an admin", root.client.change(&ann.id, "*", &json!({ "role": "admin" })).await),
            ("removal by an admin", root.client.remove(&ann.id).await),
        ] {
            assert_eq!((reply.status.as_u16(), reply.code()), (401, "recent_sign_in_required"), "{what}");
            let challenge = reply.header("www-authenticate");
            assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\""), "{challenge}");
        }
        // What changes neither address nor role is not asked for it.
        let name = json!({ "name": "Lee", "email": "ann@example.com", "role": "user" });
        assert_eq!(ann.client.change(&ann.id, "*", &name).await.status, 200);
        assert_eq!(ann.client.change_password(&ann.id, PASSWORD, PASSWORD).await.status, 204);

        let again = service.client().signed_in("ann@example.com").await;
        assert_eq!(again.client.change(&ann.id, "*", &address).await.status, 200);
        assert_eq!(again.client.remove(&ann.id).await.status, 204);
    }
}

#[tokio::test]
async fn recent_sign_in_of_zero_asks_for_none() {
    let settings = [("GLASSHOUSE_AUTH__ACCESS_TOKEN_LIFETIME", "1h"), ("GLASSHOUSE_AUTH__RECENT_SIGN_IN", "0s")];
    let service = Service::start_with(crate::support::Engine::Sqlite, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    service.pass(TimeDelta::minutes(59));
    assert_eq!(ann.client.remove(&ann.id).await.status, 204);
}

#[tokio::test]
async fn access_token_is_accepted_within_the_clock_skew_before_it_begins() {
    let service = Service::start().await;
    service.pass(TimeDelta::seconds(29));
    let ann = service.client().joined("ann@example.com").await;
    service.pass(TimeDelta::seconds(-29));
    assert_eq!(ann.client.me().await.status, 200);
    service.pass(TimeDelta::seconds(-3));
    assert_eq!(ann.client.me().await.code(), "token_not_yet");
}
