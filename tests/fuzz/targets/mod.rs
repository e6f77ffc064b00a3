//! What is tried, and what must hold whatever is tried.

mod faults;
mod service;
mod token;

use std::fs;

use glasshouse::{
    config::{Sources, load},
    domain::{
        auth::{Password, RefreshToken},
        users::{Cursor, Email, EmailPrefix, Limit, Name, Role},
    },
};
use secrecy::ExposeSecret;

/// Tries one input; panics if something does not hold.
pub(crate) type Trial = Box<dyn Fn(&[u8])>;

/// One way in.
pub(crate) struct Target {
    /// Its folder of the corpus.
    pub(crate) name: &'static str,
    /// Makes what tries its inputs.
    pub(crate) open: fn() -> Trial,
}

pub(crate) fn all() -> Vec<Target> {
    let target = |name, open| Target { name, open };
    vec![
        target("text", || Box::new(text)),
        target("cursor", || Box::new(cursor)),
        target("token", token::target),
        target("faults", faults::target),
        target("settings", || Box::new(settings)),
        target("request", service::target),
    ]
}

/// E-mail addresses, names, passwords, and what else is written by hand.
fn text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(email) = Email::parse(text) {
        let again = Email::parse(email.as_str()).expect("what is kept is accepted again");
        assert_eq!((again.as_str(), again.key()), (email.as_str(), email.key()), "nothing is normalised twice");
        assert!(!email.as_str().chars().any(|c| c.is_control() || c.is_whitespace()), "{email:?}");
        assert!(email.as_str().len() <= 254 && email.as_str().contains('@'), "{email:?}");
    }
    if let Ok(name) = Name::parse(text) {
        assert!(Name::parse(name.as_str()).is_ok_and(|again| again.as_str() == name.as_str()), "{name:?}");
        assert!(!name.as_str().chars().any(char::is_control), "{name:?}");
    }
    if Password::parse(text).is_ok() {
        assert!((Password::MIN_CHARS..=Password::MAX_CHARS).contains(&text.chars().count()));
    }
    if let Ok(role) = Role::parse(text) {
        assert_eq!(role.as_str(), text);
    }
    if let Ok(prefix) = EmailPrefix::parse(text) {
        assert!(prefix.lowest(None) <= prefix.above(), "a range that has an end");
    }
    if let Ok(limit) = Limit::parse(text) {
        assert!((1..=1000).contains(&limit.get()));
    }
}

/// What we wrote ourselves and get back: exactly as we wrote it, or not at all.
fn cursor(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(cursor) = Cursor::parse(text) {
        assert_eq!(cursor.encode(), text);
    }
    if let Ok(token) = RefreshToken::parse(text) {
        assert_eq!(token.text().expose_secret(), text);
        assert!(!format!("{token:?}").contains(&text[..16]));
    }
}

/// A file of settings: read, or refused with every fault and no secret.
fn settings(input: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    fs::write(&path, input).unwrap();
    match load(&Sources { file: Some(path.clone()), environment: Vec::new() }) {
        Ok(settings) => {
            fs::write(&path, settings.print()).unwrap();
            let again = load(&Sources { file: Some(path), environment: Vec::new() });
            drop(again.expect("what is printed is accepted"));
        }
        Err(faults) => {
            let said = faults.to_string();
            assert!(!said.contains("PRIVATE KEY-") && !said.is_empty(), "{said}");
        }
    }
}
