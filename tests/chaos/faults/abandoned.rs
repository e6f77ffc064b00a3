//! A transaction whose client is lost in silence: the server is never told, and must not keep its locks for hours.

use std::time::Duration;

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use sqlx::Executor;

use super::scene::{Kind, Scene, connect, said};
use crate::moments;

/// Longer than the server waits for the rest of a transaction, however busy the machine is.
const SOON: Duration = Duration::from_secs(20);

/// Somebody who asks the service.
struct Ann {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Ann {
    async fn ask(&self, method: Method, path: &str, tag: &str, body: Value) -> (u16, HeaderMap, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let request = if tag.is_empty() { request } else { request.header("if-match", tag) };
        let response = request.json(&body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.json().await.unwrap_or_default())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_cut_off_in_silence_does_not_keep_its_locks() {
    let scene = Scene::set(Kind::Silent).await;
    let base = format!("http://{}/api/v1", scene.service.public());
    let mut ann = Ann { http: reqwest::Client::new(), base, token: "none".to_owned() };
    let account = json!({ "email": "ann@example.com", "password": "the first of them", "name": "Ann" });
    let (status, headers, user) = ann.ask(Method::POST, "/users", "", account).await;
    assert_eq!(status, 201, "{user}");
    let (tag, path) = (headers["etag"].to_str().unwrap(), format!("/users/{}", user["id"].as_str().unwrap()));
    let shown = json!({ "email": "ann@example.com", "password": "the first of them" });
    let (_, _, granted) = ann.ask(Method::POST, "/auth/sign-in", "", shown).await;
    granted["access_token"].as_str().unwrap().clone_into(&mut ann.token);

    // The change of password has its row, and waits for the sessions.
    let mut other = connect(scene.admin()).await;
    said(&mut other, "BEGIN; LOCK TABLE sessions IN SHARE MODE").await;
    let change = json!({ "old_password": "the first of them", "new_password": "the second one" });
    let password = format!("{path}/password");
    let changing = ann.ask(Method::PUT, &password, "", change);
    let cut_off = async {
        let mut watching = connect(scene.admin()).await;
        let waiting = async || {
            let waits =
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM sessions%'";
            watching.fetch_optional(waits).await.unwrap().map(drop)
        };
        moments::within(SOON, "the transaction waits", waiting).await;
        scene.wire.fall_silent(true);
        said(&mut other, "COMMIT").await;
    };
    let ((status, ..), ()) = tokio::join!(changing, cut_off);
    assert!(matches!(status, 503 | 504), "{status}");
    scene.wire.fall_silent(false);

    let renamed = async || {
        let (status, ..) = ann.ask(Method::PATCH, &path, tag, json!({ "name": "Ann of the row" })).await;
        (status == 200).then_some(())
    };
    moments::within(SOON, "her row is free again", renamed).await;
}
