//! Removing an account.

use reqwest::Method;
use serde_json::json;

use crate::support::{Service, on_both_stores};

on_both_stores! {
    async fn what_is_removed_is_gone(engine) {
        let service = Service::on(engine).await;
        let ann = service.client().joined("ann@example.com").await;
        let root = service.admin("root@example.com").await;
        let removed = ann.client.remove(&ann.id).await;
        assert_eq!((removed.status.as_u16(), removed.text.as_str()), (204, ""));
        assert_eq!(ann.client.remove(&ann.id).await.status, 401);
        assert_eq!(root.client.read(&ann.id).await.code(), "user_not_found");
        assert_eq!(root.client.remove(&ann.id).await.code(), "user_not_found");
        assert_eq!(root.client.change(&ann.id, &ann.etag, &json!({ "name": "Ghost" })).await.code(), "user_not_found");
        let left = root.client.list("").await;
        assert_eq!(left.json["users"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_version_is_honoured_where_one_is_named() {
    let service = Service::start().await;
    let ann = service.client().joined("ann@example.com").await;
    assert_eq!(ann.client.change(&ann.id, &ann.etag, &json!({ "name": "Ann Lee" })).await.status, 200);
    let remove = |tag: String| {
        let request = ann.client.request(Method::DELETE, &format!("/api/v1/users/{}", ann.id));
        ann.client.send(request.header("if-match", tag))
    };
    for tag in [ann.etag.clone(), "nonsense".to_owned()] {
        let reply = remove(tag).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (412, "stale"));
    }
    let current = ann.client.me().await.header("etag").to_owned();
    assert_eq!(remove(current).await.status, 204);
}

on_both_stores! {
    async fn who_is_removed_while_changing_does_not_come_back(engine) {
        let service = Service::on(engine).await;
        let root = service.admin("root@example.com").await;
        let ann = service.client().joined("ann@example.com").await;
        let body = json!({ "name": "Ghost" });
        let (removed, changed) = tokio::join!(root.client.remove(&ann.id), ann.client.change(&ann.id, "*", &body));
        assert_eq!(removed.status, 204, "{removed:?}");
        assert!([200, 401, 404, 412].contains(&changed.status.as_u16()), "{changed:?}");
        assert_eq!(root.client.read(&ann.id).await.status, 404);
    }
}

on_both_stores! {
    async fn last_admin_is_neither_removed_nor_demoted(engine) {
        let service = Service::on(engine).await;
        let root = service.admin("root@example.com").await;
        let refused = root.client.remove(&root.id).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (409, "last_admin"), "{}", refused.text);
        assert_eq!(root.client.me().await.status, 200);
        let other = service.admin("other@example.com").await;
        let demote = json!({ "role": "user" });
        let (one, two) = tokio::join!(
            root.client.change(&other.id, "*", &demote),
            other.client.change(&root.id, "*", &demote)
        );
        // Who comes second may also find that it is no admin any more.
        let (winner, loser) = if one.status == 200 { (one, two) } else { (two, one) };
        assert_eq!(winner.status, 200, "{}", winner.text);
        assert!([(409, "last_admin"), (403, "forbidden")].contains(&(loser.status.as_u16(), loser.code())), "{loser:?}");
    }
}
