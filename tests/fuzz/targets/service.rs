//! The whole service on SQLite, over a real socket: bytes in, and never a 5xx out.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    time::Duration,
};

use glasshouse::{
    app::{App, Logging},
    config::{self, Sources},
    domain::Clock,
    telemetry::Output,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Trial;

const PASSWORD: &str = "a fine password";
/// An answer takes milliseconds; after so long the service hangs, which is a finding.
const PATIENCE: Duration = Duration::from_secs(20);

fn start() -> SocketAddr {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let environment = vec![
        ("DATABASE_URL".to_owned(), format!("sqlite://{}?mode=rwc", path("users.db"))),
        ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE".to_owned(), path("key.pem")),
        ("GLASSHOUSE_HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("GLASSHOUSE_INTERNAL__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        // What proxies write is read from whoever comes, and who begins a request and says no more is not waited for.
        ("GLASSHOUSE_HTTP__TRUSTED_PROXIES".to_owned(), "127.0.0.1".to_owned()),
        ("GLASSHOUSE_HTTP__CORS_ORIGINS".to_owned(), "https://app.example.com".to_owned()),
        ("GLASSHOUSE_HTTP__HEADER_TIMEOUT".to_owned(), "200ms".to_owned()),
        ("GLASSHOUSE_LIMITS__ENABLED".to_owned(), "false".to_owned()),
        ("OTEL_TRACES_SAMPLER".to_owned(), "always_off".to_owned()),
    ];
    let settings = config::load(&Sources::given(None, environment)).unwrap_or_else(|faults| panic!("{faults}"));
    let output = Output { writer: Box::new(io::sink()), is_terminal: false };
    let app = App::build(settings, output, Logging::Process).unwrap();
    let address = app.public_address().unwrap();
    std::thread::spawn(move || {
        // As long as the process lives: nobody asks it to stop.
        let (_stop, stops) = tokio::sync::mpsc::channel(1);
        let _folder = folder;
        app.run(&Clock::system(), || Ok(stops)).unwrap();
    });
    address
}

/// Sends it, ends the own side, and reads what comes.
fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Who has heard enough may close before it has read everything.
    stream.write_all(request).ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    assert!(!matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock), "it hangs");
    answer
}

fn post(address: SocketAddr, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let head = "host: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length:";
    let answer = exchange(address, format!("POST {path} HTTP/1.1\r\n{head} {}\r\n\r\n{body}", body.len()).as_bytes());
    let answer = String::from_utf8(answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)).unwrap_or_default()
}

/// The token of somebody new; the first comes perhaps before the service is ready.
fn somebody(address: SocketAddr) -> String {
    let email = format!("{}@example.com", uuid::Uuid::now_v7());
    let user = json!({ "email": email, "password": PASSWORD, "name": "Ann" });
    let deadline = std::time::Instant::now() + PATIENCE;
    while post(address, "/api/v1/users", &user)["id"].is_null() {
        assert!(std::time::Instant::now() < deadline, "it does not get ready");
    }
    let grant = post(address, "/api/v1/auth/sign-in", &json!({ "email": email, "password": PASSWORD }));
    grant["access_token"].as_str().unwrap().to_owned()
}

/// A request line and headers, an empty line, a body. `Bearer ME` is the token of somebody; the length of the body and
/// the end of the connection are added where the headers do not say them.
pub(super) fn target() -> Trial {
    let address = start();
    let caller = Mutex::new(somebody(address));
    Box::new(move |input| {
        let end = input.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(input.len());
        let (head, body) = (&input[..end], input.get(end + 4..).unwrap_or_default());
        let token = caller.lock().unwrap().clone();
        let mut head = head.to_vec();
        while let Some(at) = head.windows(9).position(|word| word == b"Bearer ME") {
            drop(head.splice(at + 7..at + 9, token.bytes()));
        }
        let lower = head.to_ascii_lowercase();
        let says = |name: &[u8]| lower.windows(name.len()).any(|word| word == name);
        if !says(b"content-length") && !says(b"transfer-encoding") {
            head.extend(format!("\r\ncontent-length: {}", body.len()).bytes());
        }
        head.extend(b"\r\nconnection: close\r\n\r\n");
        let answer = exchange(address, &[&head, body].concat());
        let text = String::from_utf8_lossy(&answer);
        let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect();
        assert!(statuses.iter().all(|status| *status < "500"), "{text}");
        if statuses.iter().any(|status| ["204", "401"].contains(status)) {
            // Perhaps it has signed out, or removed itself.
            let ask = format!(
                "GET /api/v1/users/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            if !exchange(address, ask.as_bytes()).starts_with(b"HTTP/1.1 200") {
                *caller.lock().unwrap() = somebody(address);
            }
        }
    })
}
