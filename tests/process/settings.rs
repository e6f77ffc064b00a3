//! Wrong settings: said before any port is bound, all at once, with exit code 78.

use crate::program::run;

#[test]
fn every_fault_is_reported_at_once_before_a_port_is_bound() {
    // The port is taken: whoever bound before checking would say so.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(
        &[],
        &[
            ("GLASSHOUSE_HTTP__LISTEN", &address),
            ("GLASSHOUSE_HTTP__SLOW", "soon"),
            ("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "-1"),
            ("GLASSHOUSE_HTP__LISTEN", "127.0.0.1:1"),
            ("DATABASE_URL", "mysql://user:canary-secret@host/db"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ],
    );
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    for name in [
        "http.slow",
        "auth.password_workers",
        "GLASSHOUSE_HTP__LISTEN",
        "DATABASE_URL",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
    ] {
        assert!(said.contains(name), "{name} is missing: {said}");
    }
    assert!(!said.contains("canary-secret"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_kubernetes_injects_is_no_fault() {
    let injected = [
        ("GLASSHOUSE_PORT", "tcp://10.0.0.1:80"),
        ("GLASSHOUSE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("GLASSHOUSE_SERVICE_HOST", "10.0.0.1"),
        ("GLASSHOUSE_INTERNAL_SERVICE_HOST", "10.0.0.1"),
        ("GLASSHOUSE_METRICS_PORT", "tcp://10.0.0.1:9090"),
    ];
    assert_eq!(run(&["config", "check"], &injected).status.code(), Some(0));
}

#[test]
fn production_refuses_what_is_only_good_for_development() {
    let output =
        run(&["config", "check"], &[("GLASSHOUSE_ENVIRONMENT", "production"), ("GLASSHOUSE_FAULTS__ALLOWED", "true")]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    for name in ["signing_key", "DATABASE_URL", "faults.allowed"] {
        assert!(said.contains(name), "{name} is missing: {said}");
    }
}

#[test]
fn checking_changes_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let output = crate::program::command(&["config", "check"], &[], &folder).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn printing_redacts_every_secret() {
    let secrets = [
        ("GLASSHOUSE_INTERNAL__TOKEN", "canary-secret-of-the-port"),
        ("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", "canary-secret-of-the-trace"),
        ("DATABASE_URL", "postgres://ann:canary-secret@localhost/users"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ann:canary-secret@localhost:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=canary-secret"),
    ];
    let output = run(&["config", "print"], &secrets);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("canary-secret"), "{said}");
    assert!(said.contains("listen"));
}

#[test]
fn database_url_parameter_that_is_not_understood_stops_the_start_without_its_value() {
    for (url, name) in [
        ("postgres://ann@localhost/users?sslpassword=canary-secret", "sslpassword"),
        ("postgres://ann@localhost/users?SSLMODE=canary-secret", "SSLMODE"),
        ("sqlite://users.db?Mode=canary-secret", "Mode"),
    ] {
        for arguments in [&["serve"][..], &["config", "check"], &["migrate", "status"]] {
            let output = run(arguments, &[("DATABASE_URL", url)]);
            assert_eq!(output.status.code(), Some(78), "{output:?}");
            let said = format!("{output:?}");
            assert!(said.contains(name) && !said.contains("canary-secret"), "{said}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_no_wrong_setting() {
    assert_eq!(run(&["serv"], &[]).status.code(), Some(2));
}

/// Whatever runs below cargo has its variables; this test does, and hands them on.
#[test]
fn what_cargo_itself_adds_to_the_environment_is_no_fault() {
    let mut checking = std::process::Command::new(env!("CARGO_BIN_EXE_glasshouse"));
    let checked = checking.args(["config", "check"]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
}
