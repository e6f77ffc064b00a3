//! What the two store traits promise, sentence by sentence, on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that meets what it did not expect is to fail")]
#![expect(clippy::float_cmp, reason = "gauges and counters of whole numbers")]

mod audit;
mod connections;
mod database;
mod migrations;
mod plans;
#[path = "../support/postgres.rs"]
mod postgres;
mod readiness;
mod receipts;
mod server_settings;
mod sessions;
mod statements;
mod steps;
mod support;
mod users;
