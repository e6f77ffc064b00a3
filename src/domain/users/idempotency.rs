//! What a client sends along so that a request that is sent again happens once.
//!
//! Keys come from strangers and may be anything. The store keeps no key, only its SHA-256, and of the request only a
//! SHA-256 over key, address and name: without the key nobody can try addresses on it. The password is in no digest;
//! whether it is the same is asked of its argon2 hash.

use std::fmt;

use aws_lc_rs::digest;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::{Email, Name, UserId};
use crate::domain::{Fault, auth::PasswordHash};

/// Names one request of one client: 1 to 255 visible ASCII characters, best a random UUID.
#[derive(Clone)]
pub struct IdempotencyKey(SecretString);

impl IdempotencyKey {
    /// The most characters.
    pub const MAX_CHARS: usize = 255;

    /// Reads a key.
    ///
    /// # Errors
    /// `malformed`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let plausible = (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plausible {
            Ok(Self(SecretString::from(text)))
        } else {
            Err(Fault::new("malformed", "must have 1 to 255 visible ASCII characters"))
        }
    }

    /// What is kept of a registration under this key.
    #[must_use]
    pub fn once(&self, email: &Email, name: &Name) -> Once {
        let key = self.0.expose_secret();
        // Neither a key nor an address has a zero in it, so no two requests are the same text.
        let request = [key, email.as_str(), name.as_str()].join("\0");
        Once { key: sha256(key), request: sha256(&request) }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

/// A key and the request that it was sent with, as digests.
#[derive(Clone, PartialEq, Eq)]
pub struct Once {
    /// Of the key.
    pub key: [u8; 32],
    /// Of the key, the address and the name.
    pub request: [u8; 32],
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once(…)")
    }
}

/// What the first registration under a key came to: all that its answer was made of, but what the request said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The digest of that request.
    pub request: [u8; 32],
    /// The account that was made, whatever has become of it.
    pub user: UserId,
    /// Its first password.
    pub password: PasswordHash,
    /// When.
    pub registered_at: DateTime<Utc>,
}

impl Receipt {
    /// How long one is kept at least: longer than any client tries again.
    pub const KEPT: TimeDelta = TimeDelta::hours(24);
}

fn sha256(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Email, IdempotencyKey, Name};

    #[test]
    fn keys_are_visible_ascii() {
        for text in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", &"~".repeat(255)] {
            assert!(IdempotencyKey::parse(text).is_ok(), "{text}");
        }
        for text in ["", " ", "a b", "a\n", "ä", "a\u{7f}", &"a".repeat(256)] {
            assert!(IdempotencyKey::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn another_key_another_digest_of_the_same_request() {
        let once = |key| {
            let key = IdempotencyKey::parse(key).expect("it is one");
            key.once(&Email::parse("ann@example.com").expect("it is one"), &Name::parse("Ann").expect("it is one"))
        };
        let (first, second) = (once("one"), once("other"));
        assert_eq!(first, once("one"));
        assert!(first.key != second.key && first.request != second.request && first.key != first.request);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,300}") {
            drop(IdempotencyKey::parse(&text));
        }
    }
}
