//! The settings of the store.

use std::time::Duration;

use url::Url;

/// Settings of the store: `DATABASE_URL` and `[store]`.
#[derive(Debug, Clone)]
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
    /// How long the readiness check waits for an answer.
    pub ping_timeout: Duration,
    /// Whether migrations run at start.
    pub migrate: bool,
}
