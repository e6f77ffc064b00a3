//! What must be in nothing that a service says of itself: secrets by their form, and those that a test has in its hands.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// The password of every user of every test, and whatever a test calls so: no signal has this word.
const PLANTED: &str = "canary-";
/// The beginning of every hash of a password, and what stands in every private key.
const FORMS: &[&str] = &["$argon2", "PRIVATE KEY"];
/// The beginning of every JWT: `{"` in base64url.
const TOKEN: &str = "eyJ";
/// So many characters of base64url behind it, and it is no accident.
const TOKEN_LENGTH: usize = 20;

/// The tokens that were granted to the clients of one service.
#[derive(Clone, Default)]
pub(crate) struct Canaries(Arc<Mutex<Vec<String>>>);

impl Canaries {
    /// Notes the tokens of an answer, if there are any in it.
    pub(crate) fn note(&self, answer: &Value) {
        let granted = ["access_token", "refresh_token"].iter().filter_map(|name| answer.get(name)?.as_str());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(granted.map(str::to_owned));
    }

    /// The first secret in there, with what stands around it.
    pub(crate) fn leak(&self, text: &str) -> Option<String> {
        let planted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = planted.iter().find_map(|token| text.find(token.as_str())).or_else(|| leak(text))?;
        let (from, to) = (text.floor_char_boundary(at.saturating_sub(200)), text.ceil_char_boundary(at + 300));
        Some(text[from..to].to_owned())
    }
}

/// Where a secret begins that can be told by its form alone.
fn leak(text: &str) -> Option<usize> {
    let forms = FORMS.iter().chain([&PLANTED]).find_map(|form| text.find(form));
    forms.or_else(|| token(text)).or_else(|| address(text))
}

fn token(text: &str) -> Option<usize> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let found = text.match_indices(TOKEN).map(|(at, _)| at);
    found.into_iter().find(|at| text.as_bytes()[*at..].iter().take_while(|byte| is_base64(byte)).count() > TOKEN_LENGTH)
}

/// An e-mail address: a name, and a domain with a dot that does not end in a number.
fn address(text: &str) -> Option<usize> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    text.match_indices('@').map(|(at, _)| at).find(|at| {
        let name = text[..*at].chars().next_back().is_some_and(is_name);
        let rest = &text[at + 1..];
        let host = rest.split(|c| !is_host(c)).next().unwrap_or_default().trim_end_matches('.');
        let last = host.rsplit_once('.').map_or("", |(_, last)| last);
        name && last.len() > 1 && last.chars().all(|c| c.is_ascii_alphabetic())
    })
}

#[test]
fn every_form_of_a_secret_is_found() {
    let canaries = Canaries::default();
    canaries
        .note(&serde_json::json!({ "access_token": "short.one", "refresh_token": "AZ".repeat(32), "other": "fine" }));
    for secret in [
        "{\"detail\":\"canary-password-7b1f\"}",
        "$argon2id$v=19$m=19456",
        "-----BEGIN PRIVATE KEY-----",
        "authorization: Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9.eyJ",
        "user ann@example.com has",
        "\"ann.b+c@mail.example.org.\"",
        "a short.one b",
        &format!("ü{}", "AZ".repeat(32)),
    ] {
        assert!(canaries.leak(secret).is_some(), "{secret}");
    }
    for fine in [
        "postgres://…@127.0.0.1/users",
        "postgres://…@localhost/users",
        "postgres://ann@db:5432",
        "@example.com",
        "a @ b.c",
        "eyJ",
        "GET /api/v1/users/{id}",
        "src/main.rs@1.2",
    ] {
        assert_eq!(canaries.leak(fine), None, "{fine}");
    }
}
