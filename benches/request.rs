//! The request path: a whole service on SQLite in this process, asked over one connection.

#[path = "../tests/support/in_process.rs"]
mod in_process;

use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn request(criterion: &mut Criterion) {
    let folder = TempDir::new().expect("a folder");
    let (address, _stop) = in_process::start(&folder);
    let runtime = Runtime::new().expect("a runtime");
    let client = Client::new();
    let token = runtime.block_on(signed_in(&client, address));
    let url = |path: &str| format!("http://{address}{path}");
    let mut group = criterion.benchmark_group("request");
    for (name, path) in [("keys, no store", "/.well-known/jwks.json"), ("read own, one statement", "/api/v1/users/me")]
    {
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let answer = client.get(url(path)).bearer_auth(&token).send().await.expect("an answer");
                assert!(answer.status().is_success());
                answer.bytes().await.expect("a body")
            });
        });
    }
    group.finish();
}

async fn signed_in(client: &Client, address: SocketAddr) -> String {
    let user = json!({ "email": "bench@example.com", "password": "a fine password", "name": "Bench" });
    // The first may come before the store is migrated.
    while !client
        .post(format!("http://{address}/api/v1/users"))
        .json(&user)
        .send()
        .await
        .expect("an answer")
        .status()
        .is_success()
    {}
    let credentials = json!({ "email": "bench@example.com", "password": "a fine password" });
    let sign_in = client.post(format!("http://{address}/api/v1/auth/sign-in")).json(&credentials);
    let grant: Value = sign_in.send().await.expect("an answer").json().await.expect("a grant");
    grant["access_token"].as_str().expect("a token").to_owned()
}

criterion_group!(benches, request);
criterion_main!(benches);
