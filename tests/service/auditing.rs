//! The trail: what admins did to whom, and nothing else.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Engine, PASSWORD, Postgres, Service, Session, on_both_stores};

/// The entries of that query, the newest first.
async fn trail(admin: &Session, query: &str) -> Vec<Value> {
    let page = admin.client.get(&format!("/api/v1/audit{query}")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for canary in ["@example.com", PASSWORD, "$argon2", "Changed", "Ann"] {
        assert!(!page.text.contains(canary), "{canary} in {}", page.text);
    }
    page.json["entries"].as_array().unwrap().clone()
}

/// What the log says of acts, the oldest first.
fn told(lines: &[Value]) -> Vec<Value> {
    lines.iter().filter(|line| line["target"] == "glasshouse::audit").cloned().collect()
}

on_both_stores! {
    async fn what_an_admin_does_to_others_is_in_the_trail_and_in_the_log(engine) {
        let service = Service::on(engine).await;
        let (root, ann) = (service.admin("root@example.com").await, service.client().joined("ann@example.com").await);
        let request = |method, path: &str| root.client.request(method, path).header("if-match", "*");
        let account = format!("/api/v1/users/{}", ann.id);
        let whole = json!({ "email": "lee@example.com", "name": "Changed" });
        let passwords = json!({ "old_password": PASSWORD, "new_password": "another password" });
        let acts = [
            ("change-1", request(Method::PATCH, &account).json(&json!({ "name": "Changed", "role": "admin" })), 200),
            ("replace-1", request(Method::PUT, &account).json(&whole), 200),
            ("nothing-1", request(Method::PATCH, &account).json(&json!({ "name": "Changed" })), 200),
            (
                "password-1",
                request(Method::PUT, &format!("{account}/password")).json(&passwords),
                204,
            ),
            ("remove-1", request(Method::DELETE, &account), 204),
        ];
        for (id, act, status) in acts {
            let reply = root.client.named(id, act).await;
            assert_eq!(reply.status, status, "{id}: {}", reply.text);
        }

        let entries = trail(&root, &format!("?subject={}", ann.id)).await;
        let expected = [
            ("remove", json!([]), json!(null), "remove-1"),
            ("change_password", json!([]), json!(null), "password-1"),
            ("change", json!(["email"]), json!(null), "replace-1"),
            ("change", json!(["name", "role"]), json!("admin"), "change-1"),
        ];
        assert_eq!(entries.len(), expected.len(), "{entries:#?}");
        for (entry, (action, fields, role, request_id)) in entries.iter().zip(&expected) {
            assert_eq!((&entry["action"], &entry["fields"], &entry["role"]), (&json!(action), fields, role));
            assert_eq!((&entry["actor"], &entry["subject"]), (&json!(root.id), &json!(ann.id)));
            assert_eq!(entry["request_id"], *request_id);
        }
        let told = told(&service.stop().await.lines);
        assert_eq!(told.len(), entries.len(), "{told:#?}");
        for (line, entry) in told.iter().rev().zip(&entries) {
            assert_eq!(line["level"], "INFO");
            for (field, member) in [
                ("audit.id", "id"),
                ("audit.actor", "actor"),
                ("audit.action", "action"),
                ("audit.subject", "subject"),
                ("request_id", "request_id"),
            ] {
                assert_eq!(line[field], entry[member], "{field}");
            }
        }
        assert_eq!(told[0]["audit.fields"], "name,role");
        assert_eq!(told[0]["audit.role"], "admin");
    }
}

on_both_stores! {
    async fn what_users_do_to_their_own_accounts_is_not(engine) {
        let service = Service::on(engine).await;
        let (root, ann) = (service.admin("root@example.com").await, service.client().joined("ann@example.com").await);
        assert_eq!(ann.client.change(&ann.id, "*", &json!({ "name": "Changed" })).await.status, 200);
        assert_eq!(ann.client.change_password(&ann.id, PASSWORD, PASSWORD).await.status, 204);
        assert_eq!(ann.client.remove(&ann.id).await.status, 204);
        let entries = trail(&root, "").await;
        let [made] = &entries[..] else { panic!("only that the admin was made by hand: {entries:#?}") };
        assert_eq!((&made["actor"], &made["action"]), (&json!("cli"), &json!("register")));
        assert_eq!((&made["subject"], &made["role"]), (&json!(root.id), &json!("admin")));
        assert_eq!((&made["request_id"], &made["fields"]), (&Value::Null, &json!([])));
    }
}

on_both_stores! {
    async fn act_of_an_admin_on_its_own_account_is_in_the_trail(engine) {
        let service = Service::on(engine).await;
        let (root, other) = (service.admin("root@example.com").await, service.admin("other@example.com").await);
        assert_eq!(other.client.change(&other.id, "*", &json!({ "name": "Changed" })).await.status, 200);
        assert_eq!(other.client.change_password(&other.id, PASSWORD, PASSWORD).await.status, 204);
        assert_eq!(other.client.remove(&other.id).await.status, 204);
        let entries = trail(&root, &format!("?subject={}", other.id)).await;
        let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["remove", "change_password", "change", "register"]);
        assert!(entries[..3].iter().all(|entry| entry["actor"] == json!(other.id)), "{entries:#?}");
    }
}

on_both_stores! {
    async fn what_was_refused_is_not(engine) {
        let service = Service::on(engine).await;
        let nobody = service.client();
        let root = service.admin("root@example.com").await;
        let (ann, bob) = (nobody.joined("ann@example.com").await, nobody.joined("bob@example.com").await);
        let refusals = [
            (root.client.change(&ann.id, "\"other\"", &json!({ "name": "Changed" })).await, 412),
            (root.client.change(&ann.id, "*", &json!({ "email": "bob@example.com" })).await, 409),
            (root.client.change_password(&ann.id, "a wrong password", PASSWORD).await, 403),
            (ann.client.change(&bob.id, "*", &json!({ "name": "Changed" })).await, 403),
            (ann.client.remove(&bob.id).await, 403),
        ];
        for (reply, status) in &refusals {
            assert_eq!(reply.status.as_u16(), *status, "{}", reply.text);
        }
        assert_eq!(trail(&root, &format!("?subject={}", ann.id)).await, Vec::<Value>::new());
        assert_eq!(trail(&root, &format!("?subject={}", bob.id)).await, Vec::<Value>::new());
        assert_eq!(told(&service.stop().await.lines), Vec::<Value>::new());
    }
}

on_both_stores! {
    async fn the_trail_is_read_page_by_page_and_outlives_whom_it_names(engine) {
        let service = Service::on(engine).await;
        let (root, other) = (service.admin("root@example.com").await, service.admin("other@example.com").await);
        let ann = service.client().joined("ann@example.com").await;
        for number in 0..5 {
            let body = json!({ "name": format!("Changed {number}") });
            assert_eq!(other.client.change(&ann.id, "*", &body).await.status, 200);
        }
        assert_eq!(root.client.remove(&ann.id).await.status, 204);
        assert_eq!(root.client.remove(&other.id).await.status, 204);
        let whole = trail(&root, "").await;
        let actions: Vec<_> = whole.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        let expected = [&["remove"; 2][..], &["change"; 5], &["register"; 2]].concat();
        assert_eq!(actions, expected);
        assert_eq!(whole[2]["actor"], json!(other.id));

        let mut walked: Vec<Value> = Vec::new();
        let mut path = "/api/v1/audit?limit=4".to_owned();
        loop {
            let page = root.client.get(&path).await;
            assert_eq!(page.header("cache-control"), "private, no-cache");
            walked.extend(page.json["entries"].as_array().unwrap().clone());
            let Some(next) = page.json["next"].as_str() else { break };
            assert!(walked.len() < 20, "it goes round in circles");
            path = format!("/api/v1/audit?limit=4&cursor={next}");
        }
        assert_eq!(walked, whole);
    }
}

#[tokio::test]
async fn what_no_page_can_be_is_refused() {
    let service = Service::start().await;
    let root = service.admin("root@example.com").await;
    service.client().joined("ann@example.com").await;
    let foreign = root.client.list("?limit=1").await.json["next"].as_str().unwrap().to_owned();
    for (query, field) in [
        ("?subject=me".to_owned(), "subject"),
        ("?limit=0".to_owned(), "limit"),
        (format!("?cursor={foreign}"), "cursor"),
        ("?actor=cli".to_owned(), "actor"),
    ] {
        let refused = root.client.get(&format!("/api/v1/audit{query}")).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (422, "validation_failed"), "{query}");
        assert_eq!(refused.json["errors"][0]["field"], field, "{}", refused.text);
    }
}

on_both_stores! {
    async fn the_trail_is_kept_as_long_as_the_settings_say(engine) {
        let folder = TempDir::new().unwrap();
        let url = match engine {
            Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
            Engine::Postgres => Postgres::get().database().await,
        };
        let service = Service::start_on(TempDir::new().unwrap(), &url, &[]).await;
        let (root, ann) = (service.admin("root@example.com").await, service.client().joined("ann@example.com").await);
        let id = async |days: i64, minutes: i64| {
            service.pass(TimeDelta::days(days) + TimeDelta::minutes(minutes));
            let session = service.client().signed_in("root@example.com").await;
            let reply = session.client.change(&ann.id, "*", &json!({ "name": format!("{days} {minutes}") })).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            trail(&session, "?limit=1").await[0]["id"].clone()
        };
        let (old, kept) = (id(-2, 0).await, id(0, 5).await);
        service.stop().await.outcome.unwrap();

        let service = Service::start_on(TempDir::new().unwrap(), &url, &[("GLASSHOUSE_AUDIT__RETENTION", "2d")]).await;
        let line = crate::support::eventually("the sweep is told", async || {
            service.lines().into_iter().find(|line| line["audit_entries"].is_u64())
        }).await;
        assert_eq!(line["audit_entries"], 1);
        let root = service.client().signed_in(&root.email).await;
        let left: Vec<_> = trail(&root, "").await.iter().map(|entry| entry["id"].clone()).collect();
        assert!(left.contains(&kept) && !left.contains(&old), "{left:?}");
    }
}
