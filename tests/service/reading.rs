//! Reading one account.

use reqwest::Method;

use crate::support::{Service, on_both_stores};

on_both_stores! {
    async fn an_account_is_read_by_its_id_and_as_ones_own(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let (by_id, own) = (ann.client.read(&ann.id).await, ann.client.me().await);
        assert_eq!((by_id.status.as_u16(), own.status.as_u16()), (200, 200));
        assert_eq!(by_id.json, own.json);
        assert_eq!(by_id.header("etag"), own.header("etag"));
        for reply in [by_id, own] {
            assert_eq!(reply.header("cache-control"), "private, no-cache");
            assert_eq!(reply.header("vary"), "authorization");
        }
    }
}

on_both_stores! {
    async fn who_has_the_newest_version_is_told_so_without_a_body(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let path = format!("/api/v1/users/{}", ann.id);
        let weak = format!("W/{}", ann.etag);
        let among = format!("\"other\", {}", ann.etag);
        for (known, status) in [
            (ann.etag.as_str(), 304), (weak.as_str(), 304), (among.as_str(), 304), ("*", 304),
            ("\"other\"", 200), ("", 200), ("nonsense", 200),
        ] {
            for path in [path.as_str(), "/api/v1/users/me"] {
                let request = ann.client.request(Method::GET, path).header("if-none-match", known);
                let reply = ann.client.send(request).await;
                assert_eq!(reply.status, status, "{known}");
                assert_eq!(reply.text.is_empty(), status == 304);
                assert_eq!(reply.header("etag"), ann.etag);
            }
        }
        let changed = ann.client.change(&ann.id, &ann.etag, &serde_json::json!({ "name": "Ann Lee" })).await;
        assert_ne!(changed.header("etag"), ann.etag);
        let request = ann.client.request(Method::GET, &path).header("if-none-match", &ann.etag);
        assert_eq!(ann.client.send(request).await.status, 200, "what was known is old");
    }
}

#[tokio::test]
async fn what_can_be_no_id_is_no_account() {
    let service = Service::start().await;
    let admin = service.admin("root@example.com").await;
    for id in ["nobody", "0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b", "0190b5a17c3e7d2f8a4b5c6d7e8f9a0b", "%FF", "a%2Fb"] {
        let reply = admin.client.read(id).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (404, "user_not_found"), "{id}");
    }
}

#[tokio::test]
async fn who_may_not_read_does_not_learn_whether_there_is_anything() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let bob = service.client().joined("bob@example.com").await;
    for id in [bob.id.as_str(), "0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b"] {
        let reply = ann.client.read(id).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (403, "forbidden"), "{id}");
    }
}

#[tokio::test]
async fn head_says_what_get_would() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    let head = ann.client.send(ann.client.request(Method::HEAD, "/api/v1/users/me")).await;
    let get = ann.client.me().await;
    assert_eq!((head.status, head.header("etag"), head.text.as_str()), (get.status, get.header("etag"), ""));
}
