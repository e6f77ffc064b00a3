//! Keeps users and sessions, in SQLite or in PostgreSQL.

mod config;

pub use config::Config;
