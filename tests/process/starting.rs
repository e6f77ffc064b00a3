//! The first start, several starts at once, and the small commands beside the service.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Program, command, get, run};

#[test]
fn the_first_start_makes_a_key_that_only_its_owner_reads_and_says_so_once() {
    let program = Program::start(&[]);
    let key = program.folder.path().join("data/signing-key.pem");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let warnings: Vec<_> = program.lines().into_iter().filter(|(_, line)| line["level"] == "WARN").collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let (_, warning) = &warnings[0];
    assert!(warning["message"].as_str().unwrap().contains("signing-key.pem"), "{warning}");
}

#[test]
fn an_internal_port_that_others_can_reach_is_said_to_want_a_token() {
    let token = "a-secret-of-the-on-call";
    let program =
        Program::start(&[("GLASSHOUSE_INTERNAL__LISTEN", "0.0.0.0:0"), ("GLASSHOUSE_INTERNAL__TOKEN", token)]);
    let is_said = |(_, line): &(_, Value)| line["message"].as_str().unwrap().contains("internal.token");
    let (_, warning) = program.lines().into_iter().find(is_said).unwrap();
    assert_eq!(warning["level"], "WARN");
    assert!(warning["internal.address"].as_str().unwrap().starts_with("0.0.0.0:"), "{warning}");
    assert!(!warning.to_string().contains(token), "{warning}");
    assert!(!Program::start(&[]).lines().iter().any(is_said), "on loopback there is nothing to say");
}

#[test]
fn a_restart_keeps_the_key_so_that_tokens_live_on() {
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("key.pem").display().to_string();
    let setting = [("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", key.as_str())];
    let keys = |program: &Program| get(program.public, "/.well-known/jwks.json").unwrap().1;
    let first = keys(&Program::start(&setting));
    assert_eq!(first, keys(&Program::start(&setting)));
}

#[test]
fn several_that_start_at_once_on_one_database_do_not_collide() {
    let folder = TempDir::new().unwrap();
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display());
    let programs = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(|| Program::start(&[("DATABASE_URL", &database)]))).collect();
        starting.into_iter().map(|program| program.join().unwrap()).collect::<Vec<_>>()
    });
    for program in &programs {
        assert!(!program.lines().iter().any(|(_, line)| line["level"] == "ERROR"));
    }
}

fn with_input(arguments: &[&str], environment: &[(&str, &str)], folder: &TempDir, input: &str) -> Output {
    let mut child = command(arguments, environment, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_first_admin_is_made_on_the_command_line() {
    let folder = TempDir::new().unwrap();
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display());
    let environment = [("DATABASE_URL", database.as_str())];
    assert_eq!(command(&["migrate", "up"], &environment, &folder).status().unwrap().code(), Some(0));
    let arguments = ["user", "create", "--email", "root@example.com", "--name", "Root", "--admin", "--password-stdin"];
    let output = with_input(&arguments, &environment, &folder, "a fine password\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let again = with_input(&arguments, &environment, &folder, "a fine password\n");
    assert_eq!(again.status.code(), Some(1), "{again:?}");

    let program = Program::start(&environment);
    let credentials = json!({ "email": "root@example.com", "password": "a fine password" });
    let (status, answer) = program.post("/api/v1/auth/sign-in", &credentials).unwrap();
    assert_eq!(status, 200, "{answer}");
    let token = serde_json::from_str::<Value>(&answer).unwrap()["access_token"].as_str().unwrap().to_owned();
    let request =
        format!("GET /api/v1/users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    let (status, answer) = crate::program::exchange(program.public, &request).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"admin\""), "{answer}");
    let (status, trail) = crate::program::exchange(program.public, &request.replace("/users", "/audit")).unwrap();
    assert!(status == 200 && trail.contains("\"actor\":\"cli\",\"action\":\"register\""), "{trail}");
}

#[test]
fn user_create_without_terminal_or_input_names_the_remedy() {
    let folder = TempDir::new().unwrap();
    let arguments = ["user", "create", "--email", "root@example.com", "--name", "Root"];
    // A session of its own has no terminal, wherever the test runs.
    let mut without_terminal = std::process::Command::new("setsid");
    without_terminal.args(["--wait", env!("CARGO_BIN_EXE_glasshouse")]).args(arguments).current_dir(folder.path());
    let output = without_terminal.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("without a terminal: use --password-stdin"), "{said}");

    let arguments = [&arguments[..], &["--password-stdin"]].concat();
    for (input, expected) in [("", "standard input is empty"), ("\n", "password ")] {
        let output = with_input(&arguments, &[], &folder, input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(expected), "{said}");
    }
}

#[test]
fn database_url_file_is_read_at_start() {
    let folder = TempDir::new().unwrap();
    let (secret, database) = (folder.path().join("url"), folder.path().join("users.db"));
    std::fs::write(&secret, format!("sqlite://{}?mode=rwc\n", database.display())).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o400)).unwrap();
    let program = Program::start(&[("DATABASE_URL_FILE", secret.to_str().unwrap())]);
    assert_eq!(database.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    drop(program);
    let both = [("DATABASE_URL_FILE", secret.to_str().unwrap()), ("DATABASE_URL", "sqlite://users.db")];
    let output = run(&["config", "check"], &both);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("DATABASE_URL_FILE, not both"));
}

#[test]
fn migrations_go_up_and_down_by_hand() {
    let folder = TempDir::new().unwrap();
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display());
    let migrate = |what: &str| {
        let output = command(&["migrate", what], &[("DATABASE_URL", &database)], &folder).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(migrate("status").contains("pending"));
    migrate("up");
    let applied = migrate("status");
    assert!(applied.contains("applied") && !applied.contains("pending"), "{applied}");
    migrate("down");
    assert!(migrate("status").contains("pending"));
}

#[test]
fn health_is_asked_by_the_binary_itself() {
    let program = Program::start(&[]);
    let internal = format!("http://{}", program.internal);
    assert_eq!(run(&["health", "--url", &internal], &[]).status.code(), Some(0));
    program.signal("TERM");
    program.wait();
    assert_eq!(run(&["health", "--url", &internal], &[]).status.code(), Some(1));
}

#[test]
fn the_catalogue_and_the_contract_are_printed() {
    let signals = run(&["signals", "--format", "json"], &[]);
    let catalogue: Value = serde_json::from_slice(&signals.stdout).unwrap();
    assert!(catalogue["metrics"].as_array().unwrap().len() > 40);
    assert!(
        String::from_utf8(run(&["signals"], &[]).stdout)
            .unwrap()
            .contains("| `http_server_request_duration_seconds` |")
    );
    let openapi: Value = serde_json::from_slice(&run(&["openapi"], &[]).stdout).unwrap();
    assert_eq!(openapi["openapi"], "3.1.0");
}
