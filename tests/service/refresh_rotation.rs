//! Rotation of refresh tokens: one next token for each, also where a client sends one again.

use chrono::TimeDelta;

use crate::support::{Service, on_both_stores};

on_both_stores! {
    async fn a_refresh_token_is_good_for_one_grant(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let mut tokens = vec![ann.refresh_token.clone()];
        for _ in 0..3 {
            let granted = service.client().refresh(tokens.last().unwrap()).await;
            assert_eq!(granted.status, 200, "{}", granted.text);
            let client = service.client().as_bearer(granted.json["access_token"].as_str().unwrap());
            assert_eq!(client.me().await.status, 200);
            let next = granted.json["refresh_token"].as_str().unwrap().to_owned();
            assert!(!tokens.contains(&next));
            tokens.push(next);
        }
    }
}

on_both_stores! {
    async fn refresh_retry_within_grace_returns_new_tokens(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let lost = service.client().refresh(&ann.refresh_token).await;
        assert_eq!(lost.status, 200, "{}", lost.text);
        service.pass(TimeDelta::seconds(30));
        let retry = service.client().refresh(&ann.refresh_token).await;
        assert_eq!(retry.status, 200, "{}", retry.text);
        assert_eq!(retry.json["refresh_token"], lost.json["refresh_token"], "one session has one current token");
        assert_ne!(retry.json["refresh_token"], ann.refresh_token.as_str());
        for granted in [&lost, &retry] {
            let client = service.client().as_bearer(granted.json["access_token"].as_str().unwrap());
            assert_eq!(client.me().await.status, 200);
        }
        let next = service.client().refresh(retry.json["refresh_token"].as_str().unwrap()).await;
        assert_eq!(next.status, 200, "{}", next.text);
        for (series, value) in [
            ("glasshouse_tokens_issued_total{grant=\"refresh_retry\"}", 1.0),
            ("glasshouse_token_rejections_total{reason=\"refresh_token_reused\"}", 0.0),
        ] {
            assert_eq!(service.metric(series).await, Some(value), "{series}");
        }
    }
}

on_both_stores! {
    async fn refresh_token_older_than_the_previous_one_ends_its_session(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let first = service.client().refresh(&ann.refresh_token).await;
        let second = service.client().refresh(first.json["refresh_token"].as_str().unwrap()).await;
        let reused = service.client().refresh(&ann.refresh_token).await;
        assert_eq!((reused.status.as_u16(), reused.code()), (401, "refresh_token_invalid"));
        assert_eq!(service.client().refresh(second.json["refresh_token"].as_str().unwrap()).await.status, 401);
    }
}

on_both_stores! {
    async fn refresh_reuse_interval_of_zero_ends_the_session_at_once(engine) {
        let settings = [("GLASSHOUSE_AUTH__REFRESH_REUSE_INTERVAL", "0s")];
        let service = Service::start_with(engine, &settings).await;
        let ann = service.client().joined("ann@example.com").await;
        assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 200);
        let reused = service.client().refresh(&ann.refresh_token).await;
        assert_eq!((reused.status.as_u16(), reused.code()), (401, "refresh_token_invalid"));
    }
}

/// The version before writes no salt: what it leaves of an earlier exchange is no answer.
#[tokio::test]
async fn refresh_retry_after_a_rotation_by_the_version_before_ends_the_session() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let first = service.client().refresh(&ann.refresh_token).await;
    service.execute("UPDATE sessions SET secret = zeroblob(32)").await;
    let reused = service.client().refresh(&ann.refresh_token).await;
    assert_eq!((reused.status.as_u16(), reused.code()), (401, "refresh_token_invalid"));
    let client = service.client().as_bearer(first.json["access_token"].as_str().unwrap());
    assert_eq!(client.me().await.code(), "session_ended");
}

on_both_stores! {
    async fn a_refresh_token_that_is_used_again_ends_its_session_and_no_other(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let elsewhere = service.client().signed_in("ann@example.com").await;
        let granted = service.client().refresh(&ann.refresh_token).await;
        assert_eq!(granted.status, 200);
        service.pass(TimeDelta::seconds(61));

        let reused = service.client().refresh(&ann.refresh_token).await;
        assert_eq!((reused.status.as_u16(), reused.code()), (401, "refresh_token_invalid"));
        let newest = granted.json["refresh_token"].as_str().unwrap();
        assert_eq!(service.client().refresh(newest).await.status, 401, "whoever holds the newest is out, too");
        let client = service.client().as_bearer(granted.json["access_token"].as_str().unwrap());
        assert_eq!(client.me().await.code(), "session_ended");
        assert_eq!(elsewhere.client.me().await.status, 200);
        assert_eq!(service.client().refresh(&elsewhere.refresh_token).await.status, 200);

        let counted = service.metric("glasshouse_token_rejections_total{reason=\"refresh_token_reused\"}").await;
        assert_eq!(counted, Some(1.0));
        let line = service.line_of("glasshouse::auth").await;
        assert_eq!((line["level"].as_str(), line["user.id"].as_str()), (Some("WARN"), Some(ann.id.as_str())));
    }
}

on_both_stores! {
    async fn concurrent_refreshes_with_one_token_return_the_same_next_token(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let client = service.client();
        let all = futures_util::future::join_all((0..8).map(|_| client.refresh(&ann.refresh_token))).await;
        for reply in &all {
            assert_eq!(reply.status, 200, "{}", reply.text);
            assert_eq!(reply.json["refresh_token"], all[0].json["refresh_token"]);
        }
        assert_eq!(client.refresh(all[0].json["refresh_token"].as_str().unwrap()).await.status, 200);
    }
}
