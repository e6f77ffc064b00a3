//! Secrets in files: `DATABASE_URL_FILE` and its like.

use std::os::unix::fs::chown;

use secrecy::ExposeSecret as _;

use super::{pem, with};

const SECRETS: [(&str, &str); 4] = [
    ("DATABASE_URL", "postgres://ann:hushhushhushhush@db/users"),
    ("GLASSHOUSE_INTERNAL__TOKEN", "hushhushhushhush"),
    ("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", "hushhushhushhush"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hushhushhushhush"),
];

#[test]
fn secret_file_is_read_like_the_variable() {
    let mut given = with(&[]);
    for (name, value) in SECRETS {
        let path = given.write(name, &format!("{value}\n"), 0o400);
        given = given.set(&format!("{name}_FILE"), path);
    }
    let settings = given.settings();
    assert_eq!(settings.store.url.password(), Some("hushhushhushhush"));
    assert_eq!(settings.internal.token.as_ref().expect("a token").expose_secret(), "hushhushhushhush");
    assert_eq!(settings.telemetry.force_trace_token.as_ref().expect("a token").expose_secret(), "hushhushhushhush");
    let printed = settings.print();
    assert!(!printed.contains("hush"), "{printed}");
    let path = given.folder.path().join("DATABASE_URL");
    assert!(printed.contains(&format!("url = \"postgres://…@db/users\"  # {}", path.display())), "{printed}");
    assert!(!settings.warnings.iter().any(|warning| warning.contains("chmod")), "{:?}", settings.warnings);
}

#[test]
fn secret_and_its_file_at_once_are_refused() {
    for (name, value) in SECRETS {
        let given = with(&[(name, value)]).set(&format!("{name}_FILE"), "/nowhere");
        let said = given.fault();
        assert!(said.ends_with(&format!("either this or {name}_FILE, not both")), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn secret_file_that_cannot_be_used_is_refused_without_its_text() {
    let said = with(&[("DATABASE_URL_FILE", "/nowhere/url")]).fault();
    assert!(said.starts_with("store.url_file: \"/nowhere/url\"") && said.contains("No such file"), "{said}");
    for (text, expected) in
        [("", "a URL that begins with"), ("mysql://hush@db", "a URL that begins with"), ("hush", "a URL")]
    {
        let given = with(&[]);
        let path = given.write("url", text, 0o600);
        let said = given.set("DATABASE_URL_FILE", path).fault();
        assert!(said.starts_with("store.url: ") && said.contains(expected) && !said.contains("hush"), "{said}");
    }
}

#[test]
fn secret_file_that_every_user_can_read_is_a_warning_and_in_production_refused() {
    let given = with(&[("GLASSHOUSE_AUTH__SIGNING_KEY", &pem())]);
    let path = given.write("url", "postgres://db/users", 0o644);
    let given = given.set("DATABASE_URL_FILE", path);
    assert!(
        given
            .settings()
            .warnings
            .iter()
            .any(|warning| warning.starts_with("store.url_file") && warning.contains("chmod 600"))
    );
    let said = given.set("GLASSHOUSE_ENVIRONMENT", "production").fault();
    assert!(said.starts_with("store.url_file: ") && said.contains("mode 0600 or 0400"), "{said}");
}

/// Kubernetes mounts a Secret with `fsGroup` as root's, mode 0440.
#[test]
fn signing_key_file_of_another_user_may_be_readable_by_the_group() {
    let given = with(&[("GLASSHOUSE_ENVIRONMENT", "production"), ("DATABASE_URL", "postgres://db/users")]);
    let path = given.write("key.pem", &pem(), 0o440);
    // Only root can give a file away; the table of `secret_file` covers the rule itself.
    if chown(&path, Some(12345), None).is_err() {
        return;
    }
    given.set("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", path).settings();
}
