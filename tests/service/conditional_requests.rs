//! Conditional requests (RFC 9110, section 13): `If-Match`, `If-None-Match` and the headers with dates.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Reply, Service, Session, on_both_stores};

/// Sends a request with these headers, and a body unless it is null.
async fn send(client: &Client, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut request = client.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(if body.is_null() { request } else { request.json(body) }).await
}

fn path(user: &Session) -> String {
    format!("/api/v1/users/{}", user.id)
}

/// The number in an `ETag`.
fn version(etag: &str) -> u64 {
    etag.trim_matches('"').rsplit_once('-').unwrap().1.parse().unwrap()
}

fn assert_precondition_failed(reply: &Reply, code: &str, detail: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (412, code), "{reply:?}");
    assert!(reply.json["detail"].as_str().unwrap().contains(detail), "{detail} in {}", reply.text);
}

on_both_stores! {
    async fn concurrent_changes_with_if_match_any_all_return_200(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let changes = (0..10).map(|number| {
            let ann = ann.clone();
            async move { ann.client.change(&ann.id, "*", &json!({ "name": format!("Name {number}") })).await }
        });
        let replies = join_all(changes).await;
        assert!(replies.iter().all(|reply| reply.status == 200), "{replies:#?}");
        let last = ann.client.me().await;
        assert_eq!(version(last.header("etag")), 11, "each change is a version");
        assert!(replies.iter().any(|reply| reply.json == last.json), "the newest version is one of the answers");
    }
}

on_both_stores! {
    async fn concurrent_changes_with_an_etag_list_succeed_while_the_list_holds_the_version(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let list = (1..=5).map(|number| ann.etag.replace("-1\"", &format!("-{number}\""))).collect::<Vec<_>>().join(", ");
        let changes = (0..8).map(|number| {
            let (ann, list) = (ann.clone(), list.clone());
            async move { ann.client.change(&ann.id, &list, &json!({ "name": format!("Name {number}") })).await }
        });
        let replies = join_all(changes).await;
        let succeeded = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(succeeded, 5, "versions 1 to 5 are in the list: {replies:#?}");
        assert!(replies.iter().all(|reply| reply.status == 200 || reply.code() == "stale"), "{replies:#?}");
        assert_eq!(version(ann.client.me().await.header("etag")), 6);
    }
}

on_both_stores! {
    async fn concurrent_removals_return_204_once_and_404_otherwise(engine) {
        let service = Service::on(engine).await;
        let root = service.admin("root@example.com").await;
        for (number, headers) in [&[][..], &[("if-match", "*")]].into_iter().enumerate() {
            let ann = service.client().joined(&format!("ann{number}@example.com")).await;
            let removals = (0..4).map(|_| {
                let (root, path) = (root.client.clone(), path(&ann));
                async move { send(&root, Method::DELETE, &path, headers, &Value::Null).await }
            });
            let mut statuses: Vec<_> = join_all(removals).await.iter().map(|reply| reply.status.as_u16()).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 404, 404, 404]);
        }
    }
}

on_both_stores! {
    async fn concurrent_password_changes_return_204_once_and_403_otherwise(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let changes = ["canary-password-one", "canary-password-two", "canary-password-three"].map(|new| {
            let ann = ann.clone();
            async move { ann.client.change_password(&ann.id, PASSWORD, new).await }
        });
        let replies = join_all(changes).await;
        let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 403, 403], "{replies:#?}");
        let refused = replies.iter().filter(|reply| reply.status == 403);
        assert!(refused.into_iter().all(|reply| reply.code() == "password_wrong"), "{replies:#?}");
    }
}

#[tokio::test]
async fn if_none_match_any_on_unsafe_methods_returns_412_and_does_nothing() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let path = path(&ann);
    let new = json!({ "email": "new@example.com", "password": PASSWORD, "name": "New" });
    let unsafe_methods = [
        (Method::PUT, path.clone(), json!({ "email": "ann@example.com", "name": "Never" })),
        (Method::PATCH, path.clone(), json!({ "name": "Never" })),
        (Method::DELETE, path.clone(), Value::Null),
        (Method::PUT, format!("{path}/password"), json!({ "old_password": PASSWORD, "new_password": "canary-never" })),
        (Method::POST, "/api/v1/users".to_owned(), new),
        (Method::POST, "/api/v1/auth/sign-in".to_owned(), json!({ "email": "ann@example.com", "password": PASSWORD })),
        (Method::POST, "/api/v1/auth/refresh".to_owned(), json!({ "refresh_token": ann.refresh_token })),
        (Method::POST, "/api/v1/auth/sign-out".to_owned(), Value::Null),
    ];
    for (method, path, body) in &unsafe_methods {
        for headers in [&[("if-none-match", "*")][..], &[("if-none-match", "*"), ("if-match", "*")]] {
            let reply = send(&ann.client, method.clone(), path, headers, body).await;
            assert_precondition_failed(&reply, "precondition_failed", "If-None-Match: * accepts no");
        }
        let malformed = [("if-none-match", "no tag"), ("if-match", "*")];
        let reply = send(&ann.client, method.clone(), path, &malformed, body).await;
        assert_precondition_failed(&reply, "precondition_failed", "If-None-Match must be");
    }
    assert_eq!(ann.client.me().await.header("etag"), ann.etag, "neither changed, removed nor signed out");
    assert_eq!(service.client().sign_in("new@example.com", PASSWORD).await.status, 401, "not registered");
    assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200, "the same password");
    assert_eq!(service.client().refresh(&ann.refresh_token).await.status, 200, "the refresh token is unused");
}

#[tokio::test]
async fn if_none_match_with_the_stored_version_refuses_a_change() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let weak = format!("W/{}", ann.etag);
    for tag in [ann.etag.as_str(), &weak] {
        let headers = [("if-match", "*"), ("if-none-match", tag)];
        for (method, body) in [(Method::PATCH, json!({ "name": "Never" })), (Method::DELETE, Value::Null)] {
            let reply = send(&ann.client, method, &path(&ann), &headers, &body).await;
            assert_precondition_failed(&reply, "precondition_failed", "a version that If-None-Match excludes");
        }
        let both = [("if-match", ann.etag.as_str()), ("if-none-match", tag)];
        let reply = send(&ann.client, Method::DELETE, &path(&ann), &both, &Value::Null).await;
        assert_precondition_failed(&reply, "precondition_failed", "does not satisfy If-Match and If-None-Match");
    }
    let alone = [("if-none-match", "\"other\"")];
    let reply = send(&ann.client, Method::PATCH, &path(&ann), &alone, &json!({ "name": "Never" })).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (428, "precondition_required"));
    let other = [("if-match", "*"), ("if-none-match", "\"other\"")];
    let reply = send(&ann.client, Method::PATCH, &path(&ann), &other, &json!({ "name": "Ann Lee" })).await;
    assert_eq!(reply.status, 200, "another version is excluded: {}", reply.text);
}

#[tokio::test]
async fn failed_if_match_names_the_fault_and_the_remedy() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let bob = service.client().joined("bob@example.com").await;
    let weak = format!("W/{}", ann.etag);
    let later = ann.etag.replace("-1\"", "-2\"");
    let unquoted = ann.etag.trim_matches('"');
    for (tag, detail) in [
        (weak.as_str(), "weak ETags (W/\"...\") cannot be used in If-Match; send the ETag without W/"),
        (&bob.etag, "no ETag in If-Match is one of this user"),
        ("\"other\"", "no ETag in If-Match is one of this user"),
        (unquoted, "each in double quotes"),
        ("", "each in double quotes"),
        (&later, "the user has changed meanwhile"),
    ] {
        for method in [Method::PATCH, Method::DELETE, Method::GET] {
            let body = if method == Method::PATCH { json!({ "name": "Never" }) } else { Value::Null };
            let reply = send(&ann.client, method, &path(&ann), &[("if-match", tag)], &body).await;
            assert_precondition_failed(&reply, "stale", detail);
        }
    }
}

#[tokio::test]
async fn if_match_is_evaluated_by_reads_and_by_resources_without_an_etag() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    for path in [path(&ann), "/api/v1/users/me".to_owned()] {
        for (headers, status) in [
            (&[("if-match", ann.etag.as_str())][..], 200),
            (&[("if-match", "*")], 200),
            (&[("if-match", "*"), ("if-none-match", ann.etag.as_str())], 304),
            (&[("if-match", "\"other\""), ("if-none-match", ann.etag.as_str())], 412),
        ] {
            let reply = send(&ann.client, Method::GET, &path, headers, &Value::Null).await;
            assert_eq!(reply.status, status, "{headers:?}");
        }
    }
    let body = json!({ "old_password": PASSWORD, "new_password": "canary-never" });
    let password = format!("{}/password", path(&ann));
    let reply = send(&ann.client, Method::PUT, &password, &[("if-match", &ann.etag)], &body).await;
    assert_precondition_failed(&reply, "precondition_failed", "this resource has no ETag");
    let bob = service.client().joined("bob@example.com").await;
    let reply = send(&bob.client, Method::PUT, &password, &[("if-none-match", "*")], &body).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (403, "forbidden"), "access is checked first");
}

/// RFC 9110, sections 13.1.3 to 13.1.5: without `Last-Modified` there is no date to compare with.
#[tokio::test]
async fn preconditions_with_dates_are_ignored_because_no_last_modified_is_sent() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let past = "Sat, 01 Jan 2000 00:00:00 GMT";
    for name in ["if-modified-since", "if-unmodified-since", "if-range"] {
        let read = send(&ann.client, Method::GET, &path(&ann), &[(name, past)], &Value::Null).await;
        assert_eq!(read.status, 200, "{name}");
        assert!(read.headers.get("last-modified").is_none());
        let body = json!({ "name": "Never" });
        let change = send(&ann.client, Method::PATCH, &path(&ann), &[(name, past)], &body).await;
        assert_eq!(change.code(), "precondition_required", "{name} does not stand for If-Match");
    }
    let removed = send(&ann.client, Method::DELETE, &path(&ann), &[("if-unmodified-since", past)], &Value::Null).await;
    assert_eq!(removed.status, 204);
}
