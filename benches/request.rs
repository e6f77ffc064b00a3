//! The request path: a whole service on SQLite in this process, asked over one connection.

use std::{io, net::SocketAddr};

use criterion::{Criterion, criterion_group, criterion_main};
use glasshouse::{
    app::{App, Logging},
    config::{self, Sources},
    domain::Clock,
    telemetry::Output,
};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::mpsc};

fn request(criterion: &mut Criterion) {
    let folder = TempDir::new().expect("a folder");
    let (address, _stop) = start(&folder);
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

fn start(folder: &TempDir) -> (SocketAddr, mpsc::Sender<&'static str>) {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let environment = vec![
        ("DATABASE_URL".to_owned(), format!("sqlite://{}?mode=rwc", path("users.db"))),
        ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE".to_owned(), path("key.pem")),
        ("GLASSHOUSE_HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("GLASSHOUSE_INTERNAL__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("GLASSHOUSE_LIMITS__ENABLED".to_owned(), "false".to_owned()),
    ];
    let settings = config::load(&Sources::given(None, environment)).expect("fine settings");
    let output = Output { writer: Box::new(io::sink()), is_terminal: false };
    let app = App::build(settings, output, Logging::Process).expect("a service");
    let address = app.public_address().expect("an address");
    let (stop, stops) = mpsc::channel(1);
    std::thread::spawn(move || app.run(&Clock::system(), || Ok(stops)));
    (address, stop)
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
