//! The requests of a load: one that repeats, or many that each bear another access token.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use glasshouse::{
    domain::{
        Clock,
        auth::{Keys, SessionId, TokenTimes, Tokens},
        users::UserId,
    },
    telemetry::Metrics,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use uuid::Uuid;

/// Requests in the order in which clients send them.
pub(crate) struct Requests {
    list: Vec<String>,
    next: AtomicUsize,
    repeat: bool,
}

impl Requests {
    /// The next one; none if each has been sent and they do not repeat.
    pub(crate) fn next(&self) -> Option<&str> {
        let next = self.next.fetch_add(1, Relaxed);
        let next = if self.repeat { next % self.list.len() } else { next };
        self.list.get(next).map(String::as_str)
    }
}

/// Signs access tokens of one session with the service's key.
pub(crate) struct TokenSigner {
    tokens: Tokens,
    user: UserId,
    session: SessionId,
    public_key: String,
}

impl TokenSigner {
    /// Signs for the user and session of that token, which the service has issued.
    pub(crate) fn new(key_pem: String, token: &str) -> Self {
        let keys = Keys::parse(&SecretString::from(key_pem), &[]).expect("the service's key");
        let key = serde_json::to_value(&keys.public().keys[0]).expect("a JWK");
        let claims = token.split('.').nth(1).expect("a token has claims");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("claims are base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("claims are JSON");
        let id = |name: &str| Uuid::try_parse(claims[name].as_str().expect("a string")).expect("an id");
        let times = TokenTimes { lifetime: Duration::from_hours(24), clock_skew: Duration::ZERO };
        let (party, metrics) = ("glasshouse", Metrics::new(100));
        Self {
            tokens: Tokens::new(keys, party.to_owned(), party.to_owned(), times, Clock::system(), &metrics),
            user: UserId(id("sub")),
            session: SessionId(id("sid")),
            public_key: key["x"].as_str().expect("an Ed25519 key").to_owned(),
        }
    }

    /// `x` of the key's JWK.
    pub(crate) fn public_key(&self) -> &str {
        &self.public_key
    }

    /// One request, which repeats.
    pub(crate) fn same_token(&self) -> Requests {
        Requests { list: vec![self.request()], next: AtomicUsize::new(0), repeat: true }
    }

    /// That many requests, each with a token of its own.
    pub(crate) fn fresh_tokens(&self, count: usize) -> Requests {
        let list = (0..count).map(|_| self.request()).collect();
        Requests { list, next: AtomicUsize::new(0), repeat: false }
    }

    fn request(&self) -> String {
        let token = self.tokens.issue(self.user, self.session).expect("it signs");
        format!(
            "GET /api/v1/users/me HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\naccept: application/json\r\n\
             authorization: Bearer {}\r\n\r\n",
            token.expose_secret()
        )
    }
}
