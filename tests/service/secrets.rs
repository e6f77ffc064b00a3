//! No secret is in anything that the service says: lines, spans, numbers, answers, settings.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Collector, Engine, PASSWORD, Postgres, Service, eventually, on_both_stores};

const FORCE: &str = "canary-force-trace-token-91c2";
const INTERNAL: &str = "canary-internal-token-5d0e4a7b";
const OTLP: &str = "canary-otlp-header-3f6a";
const NEW_PASSWORD: &str = "canary-new-password-08d4";
const IDEMPOTENCY: &str = "canary-idempotency-key-2f9c";
const TYPED_WRONG: &str = "canary-wrong-password-4471";

/// Fails if one of these stands in there, in whatever case.
fn assert_absent(canaries: &[String], what: &str, text: &str) {
    let lower = text.to_lowercase();
    for canary in canaries {
        let found = lower.find(&canary.to_lowercase());
        let near = found.map(|at| lower[at.saturating_sub(300)..].chars().take(700).collect::<String>());
        assert!(near.is_none(), "{canary} is in {what}: {}", near.unwrap_or_default());
    }
}

on_both_stores! {
    /// With everything logged that any crate has to say.
    async fn no_canary_is_ever_seen(engine) {
        let folder = TempDir::new().unwrap();
        let mut database = match engine {
            Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
            Engine::Postgres => Postgres::get().database().await,
        };
        let mut canaries: Vec<String> = [FORCE, INTERNAL, OTLP, PASSWORD, NEW_PASSWORD, TYPED_WRONG, IDEMPOTENCY].map(str::to_owned).to_vec();
        if engine == Engine::Postgres {
            let mut url: url::Url = database.parse().unwrap();
            url.set_password(Some("canary-database-password-77")).unwrap();
            database = url.into();
            canaries.push("canary-database-password-77".to_owned());
        }
        let collector = Collector::start().await;
        let endpoint = collector.endpoint();
        let headers = format!("authorization={OTLP}");
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", headers.as_str()),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", FORCE),
            ("GLASSHOUSE_INTERNAL__TOKEN", INTERNAL),
            ("GLASSHOUSE_LOG__FILTER", "trace,opentelemetry=trace"),
            ("GLASSHOUSE_LOG__QUEUE", "1000000"),
        ];
        let service = Service::start_on(TempDir::new().unwrap(), &database, &settings).await;
        let nobody = service.client();
        let (ann, bob) = (nobody.joined("canary.ann@example.com").await, nobody.joined("canary.bob@example.com").await);
        let root = service.admin("canary.root@example.com").await;
        // A client that sends a secret in the wrong header: what it calls itself is on the line and on the span.
        let pasted = nobody.request(Method::GET, "/api/v1/users/me").header("user-agent", format!("curl {INTERNAL}"));
        assert_eq!(nobody.send(pasted.header("x-force-trace", FORCE)).await.status, StatusCode::UNAUTHORIZED);
        let keyed = |name: &str| {
            let body = json!({ "email": "canary.keyed@example.com", "password": PASSWORD, "name": name });
            nobody.request(Method::POST, "/api/v1/users").header("idempotency-key", IDEMPOTENCY).json(&body)
        };
        assert_eq!(nobody.send(keyed("Ann")).await.status, StatusCode::CREATED);
        assert_eq!(nobody.send(keyed("Ann")).await.status, StatusCode::CREATED);
        let mut problems = Vec::new();
        let mut keep = |reply: crate::support::Reply| {
            assert!(reply.status.is_client_error() || reply.status.is_server_error(), "{reply:?}");
            problems.push(format!("{:?}\n{}", reply.headers, reply.text));
        };
        keep(nobody.register("canary.ann@example.com").await);
        keep(nobody.send(keyed("Bob")).await);
        let two = nobody.request(Method::POST, "/api/v1/users").header("idempotency-key", format!("{IDEMPOTENCY},"));
        keep(nobody.send(two).await);
        keep(nobody.post("/api/v1/users", &json!({ "email": "canary.bad", "password": "cánary", "name": "", "extra": PASSWORD })).await);
        keep(nobody.sign_in("canary.ann@example.com", TYPED_WRONG).await);
        keep(nobody.refresh(&format!("{}x", ann.refresh_token)).await);
        keep(nobody.as_bearer(&format!("{}x", ann.access_token)).me().await);
        keep(ann.client.change(&ann.id, &ann.etag, &json!({ "email": "canary.bob@example.com" })).await);
        keep(ann.client.change_password(&ann.id, TYPED_WRONG, NEW_PASSWORD).await);
        keep(ann.client.get("/api/v1/users/canary.ann@example.com").await);
        keep(ann.client.get("/canary.ann@example.com?password=canary-password-7b1f").await);
        keep(root.client.list("?email_prefix=canary.ann@example.com&cursor=canary.ann@example.com").await);
        keep(nobody.send(nobody.request(Method::POST, "/api/v1/auth/sign-in").body(PASSWORD).header("content-type", "application/json")).await);
        assert_eq!(root.client.list("?email_prefix=canary.ann@example.com").await.status, StatusCode::OK);
        let forced = nobody.request(Method::GET, "/api/v1/users/me").bearer_auth(&ann.access_token);
        assert_eq!(nobody.send(forced.header("x-force-trace", FORCE)).await.status, 200);
        assert_eq!(ann.client.change_password(&ann.id, PASSWORD, NEW_PASSWORD).await.status, 204);
        let granted = nobody.refresh(&ann.refresh_token).await;
        service.pass(chrono::TimeDelta::seconds(61));
        keep(nobody.refresh(&ann.refresh_token).await);
        assert_eq!(bob.client.sign_out().await.status, 204);
        for session in [&ann, &bob, &root] {
            canaries.extend([&session.email, &session.access_token, &session.refresh_token].map(Clone::clone));
        }
        canaries.extend(["access_token", "refresh_token"].map(|name| granted.json[name].as_str().unwrap().to_owned()));
        canaries.push("canary.keyed@example.com".to_owned());
        canaries.extend(["$argon2".to_owned(), "BEGIN PRIVATE KEY".to_owned()]);

        for path in ["/", "/metrics", "/health/ready?verbose", "/debug/config", "/debug/build", "/debug/log"] {
            let request = service.ask(path).bearer_auth(INTERNAL).header("accept", "application/openmetrics-text");
            let text = request.send().await.unwrap().text().await.unwrap();
            assert_absent(&canaries, path, &text);
        }
        eventually("spans and records have arrived", async || {
            (!collector.spans().is_empty() && !collector.records().is_empty()).then_some(())
        }).await;
        let stopped = service.stop().await;
        stopped.outcome.unwrap();
        assert!(stopped.log.contains("\"level\":\"DEBUG\""), "the log is not as loud as it can be");
        assert_absent(&canaries, "the log", &stopped.log);
        assert_absent(&canaries, "what was exported", &collector.everything());
        for problem in &problems {
            assert_absent(&canaries, "a problem", problem);
        }
    }
}
