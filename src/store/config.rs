//! The settings of the store.

use std::{fmt, time::Duration};

use url::Url;

use super::{database_url::UrlError, postgres, sqlite};

/// What the URL must be, whatever the engine.
pub(super) const SCHEMES: &str = "a URL that begins with sqlite:// or postgres:// or postgresql://";

/// Settings of the store: `DATABASE_URL` and `[store]`.
#[derive(Clone)]
pub struct Config {
    /// `sqlite://path?mode=rwc` or `postgres://user:password@host:port/database`.
    pub url: Url,
    /// The most connections at once.
    pub max_connections: u32,
    /// How long a call waits for a connection.
    pub acquire_timeout: Duration,
    /// When an unused connection is closed.
    pub idle_timeout: Duration,
    /// When a connection is replaced however busy it is.
    pub max_lifetime: Duration,
    /// How long one statement may run: `statement_timeout` on PostgreSQL, waiting for the write lock on SQLite.
    pub statement_timeout: Duration,
    /// How long the readiness check waits for an answer, and a call that probes whether the database is back.
    pub ping_timeout: Duration,
    /// Whether a pooler in front of PostgreSQL gives a connection of the server to each transaction, and not to each
    /// client.
    pub pooler: bool,
    /// Whether migrations run at start.
    pub migrate: bool,
}

impl Config {
    /// What is wrong with the URL, if no engine can work with it, whatever the database says. Touches nothing, and
    /// never repeats a value of the URL.
    #[must_use]
    pub fn fault(&self) -> Option<UrlError> {
        match self.url.scheme() {
            "sqlite" => sqlite::connector(self).err(),
            "postgres" | "postgresql" => postgres::connector(self).err(),
            _ => Some(UrlError::Form(SCHEMES)),
        }
    }
}

/// Without the URL: a password may be in it.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Config(…)")
    }
}
