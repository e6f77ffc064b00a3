//! Changing an account, and never over the head of somebody else's change.

use reqwest::Method;
use serde_json::json;

use crate::support::{Reply, Service, Session, on_both_stores};

/// PATCH with these `If-Match` lines.
async fn change_if(user: &Session, tags: &[&str], body: &serde_json::Value) -> Reply {
    let mut request = user.client.request(Method::PATCH, &format!("/api/v1/users/{}", user.id));
    for tag in tags {
        request = request.header("if-match", *tag);
    }
    user.client.send(request.json(body)).await
}

on_both_stores! {
    async fn a_patch_changes_what_it_names(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let before = ann.client.me().await;
        let named = ann.client.change(&ann.id, &ann.etag, &json!({ "name": "Ann Lee" })).await;
        assert_eq!(named.status, 200, "{}", named.text);
        assert_eq!((&named.json["name"], &named.json["email"]), (&json!("Ann Lee"), &json!("ann@example.com")));
        assert_eq!(named.json["created_at"], before.json["created_at"]);
        assert!(named.json["updated_at"].as_str() > before.json["updated_at"].as_str());
        assert_ne!(named.header("etag"), ann.etag);
        assert_eq!(ann.client.me().await.json, named.json);

        let moved = ann.client.change(&ann.id, named.header("etag"), &json!({ "email": "lee@example.com" })).await;
        assert_eq!(moved.json["email"], "lee@example.com");
        assert_eq!(service.client().signed_in("lee@example.com").await.id, ann.id);
        assert_eq!(service.client().register("ann@example.com").await.status, 201, "the old address is free");
    }
}

on_both_stores! {
    async fn a_put_replaces_what_can_be_changed(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let body = json!({ "email": "lee@example.com", "name": "Lee" });
        let replaced = ann.client.replace(&ann.id, &ann.etag, &body).await;
        assert_eq!(replaced.status, 200, "{}", replaced.text);
        assert_eq!((&replaced.json["email"], &replaced.json["name"]), (&body["email"], &body["name"]));
        let half = ann.client.replace(&ann.id, replaced.header("etag"), &json!({ "name": "Lee" })).await;
        assert_eq!((half.status.as_u16(), half.code()), (422, "validation_failed"));
        assert_eq!(half.json["errors"][0]["field"], "email");
    }
}

#[tokio::test]
async fn what_changes_nothing_is_no_new_version() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    for body in
        [json!({}), json!({ "name": "Ann" }), json!({ "name": "Ann", "email": "ann@example.com", "role": "user" })]
    {
        let reply = ann.client.change(&ann.id, &ann.etag, &body).await;
        assert_eq!((reply.status.as_u16(), reply.header("etag")), (200, ann.etag.as_str()), "{body}");
        assert_eq!(reply.json["updated_at"], reply.json["created_at"]);
    }
}

#[tokio::test]
async fn a_patch_cannot_take_anything_away() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    for (body, code) in [
        (json!({ "name": null }), "wrong_type"),
        (json!({ "email": null }), "wrong_type"),
        (json!({ "role": null }), "wrong_type"),
        (json!({ "name": ["Ann"] }), "wrong_type"),
        (json!({ "id": "0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b" }), "unknown_field"),
        (json!({ "created_at": null }), "unknown_field"),
        (json!({ "password": "canary" }), "unknown_field"),
    ] {
        let reply = ann.client.change(&ann.id, &ann.etag, &body).await;
        assert_eq!((reply.status.as_u16(), &reply.json["errors"][0]["code"]), (422, &json!(code)), "{body}");
    }
    assert_eq!(ann.client.me().await.header("etag"), ann.etag);
}

#[tokio::test]
async fn a_patch_is_a_merge_patch_by_either_name() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let mut etag = ann.etag.clone();
    for (media, name) in [("application/merge-patch+json", "One"), ("application/json", "Two")] {
        let request = ann.client.request(Method::PATCH, &format!("/api/v1/users/{}", ann.id));
        let request = request.header("if-match", &etag).header("content-type", media);
        let reply = ann.client.send(request.body(json!({ "name": name }).to_string())).await;
        assert_eq!((reply.status.as_u16(), &reply.json["name"]), (200, &json!(name)), "{media}");
        etag = reply.header("etag").to_owned();
    }
    for media in ["application/json-patch+json", "text/plain", ""] {
        let request = ann.client.request(Method::PATCH, &format!("/api/v1/users/{}", ann.id));
        let reply = ann.client.send(request.header("if-match", &etag).header("content-type", media).body("{}")).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (415, "media_type_unsupported"), "{media}");
        assert_eq!(reply.header("accept-patch"), "application/merge-patch+json, application/json");
    }
}

#[tokio::test]
async fn a_change_names_the_version_that_it_was_made_to() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let bob = service.client().joined("bob@example.com").await;
    let body = json!({ "name": "Never" });
    let missing = change_if(&ann, &[], &body).await;
    assert_eq!((missing.status.as_u16(), missing.code()), (428, "precondition_required"));

    let weak = format!("W/{}", ann.etag);
    let unquoted = ann.etag.trim_matches('"').to_owned();
    let padded = ann.etag.replace("-1\"", "-01\"");
    let later = ann.etag.replace("-1\"", "-2\"");
    let tags = ["\"other\"", "nonsense", "", "\"", "*, \"a\"", &weak, &unquoted, &padded, &later, &bob.etag];
    for tag in tags {
        let reply = change_if(&ann, &[tag], &body).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (412, "stale"), "{tag}");
    }
    assert_eq!(ann.client.me().await.header("etag"), ann.etag);

    let list = format!("\"other\", {}", ann.etag);
    let changed = change_if(&ann, &[&list], &json!({ "name": "One" })).await;
    assert_eq!(changed.status, 200, "one of a list");
    let lines = ["\"a\"", &later];
    assert_eq!(change_if(&ann, &lines, &json!({ "name": "Two" })).await.status, 200, "a list on two lines");
    assert_eq!(change_if(&ann, &["*"], &json!({ "name": "Three" })).await.status, 200, "any version");
    assert_eq!(change_if(&ann, &[&ann.etag], &body).await.status, 412, "what was seen first is old");
}

on_both_stores! {
    async fn of_ten_changes_to_one_version_exactly_one_wins(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let changes = (0..10).map(|number| {
            let ann = ann.clone();
            async move { ann.client.change(&ann.id, &ann.etag, &json!({ "name": format!("Name {number}") })).await }
        });
        let replies = futures_util::future::join_all(changes).await;
        let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(won.len(), 1, "{replies:#?}");
        assert!(replies.iter().all(|reply| reply.status == 200 || reply.code() == "stale"), "{replies:#?}");
        assert_eq!(ann.client.me().await.json, won[0].json);
    }
}

on_both_stores! {
    async fn an_address_cannot_be_taken_from_somebody_else(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        service.client().joined("bob@example.com").await;
        let taken = ann.client.change(&ann.id, &ann.etag, &json!({ "email": "BOB@example.com" })).await;
        assert_eq!((taken.status.as_u16(), taken.code()), (409, "email_taken"));
        let cased = ann.client.change(&ann.id, &ann.etag, &json!({ "email": "ANN@example.com" })).await;
        assert_eq!(cased.status, 200, "one's own address may change its case");
    }
}

on_both_stores! {
    async fn only_an_admin_gives_roles_and_none_to_itself(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let root = service.admin("root@example.com").await;
        let promotion = json!({ "role": "admin" });
        assert_eq!(ann.client.change(&ann.id, &ann.etag, &promotion).await.code(), "forbidden");
        assert_eq!(ann.client.list("").await.status, 403);
        let given = root.client.change(&ann.id, &ann.etag, &promotion).await;
        assert_eq!((given.status.as_u16(), &given.json["role"]), (200, &json!("admin")));
        assert_eq!(ann.client.list("").await.status, 200, "the role counts at once, with the token of before");
        let own = root.client.change(&root.id, &root.etag, &json!({ "role": "user" })).await;
        assert_eq!((own.status.as_u16(), own.code()), (403, "own_role"));
        let taken = ann.client.change(&root.id, &root.etag, &json!({ "role": "user" })).await;
        assert_eq!(taken.status, 200);
        assert_eq!(root.client.list("").await.status, 403, "and is gone at once");
    }
}
