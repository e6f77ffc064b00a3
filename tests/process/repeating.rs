//! A registration whose answer was lost, because the service was killed when it was done and before it was read.

use std::{io::Write, net::TcpStream};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Program, exchange, get, post, until};

#[test]
fn an_answer_that_was_lost_with_the_process_is_had_by_asking_again() {
    let folder = TempDir::new().unwrap();
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display());
    let environment = [("DATABASE_URL", database.as_str())];
    let body = json!({ "email": "ann@example.com", "password": "a fine password", "name": "Ann" });
    let request = post("/api/v1/users", &body).replacen("\r\n", "\r\nidempotency-key: once\r\n", 1);

    let program = Program::start(&environment);
    let mut stream = TcpStream::connect(program.public).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    until("it is registered", || {
        let page = get(program.internal, "/metrics").map(|(_, page)| page).unwrap_or_default();
        page.lines().any(|line| line == "glasshouse_users_registered_total 1.0")
    });
    program.signal("KILL");
    assert_eq!(program.wait().code, None, "it was killed");
    drop(stream);

    let program = Program::start(&environment);
    let (status, answer) = exchange(program.public, &request).unwrap();
    assert_eq!(status, 201, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let (status, grant) = program
        .post("/api/v1/auth/sign-in", &json!({ "email": "ann@example.com", "password": "a fine password" }))
        .unwrap();
    assert_eq!(status, 200, "{grant}");
    let token = serde_json::from_str::<Value>(&grant).unwrap()["access_token"].as_str().unwrap().to_owned();
    let me = format!(
        "GET /api/v1/users/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    let (_, own) = exchange(program.public, &me).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&own).unwrap(), answer, "it is the account that was made before");
    let page = get(program.internal, "/metrics").unwrap().1;
    assert!(page.contains("\nglasshouse_users_registered_total 0.0\n"), "{page}");
}
