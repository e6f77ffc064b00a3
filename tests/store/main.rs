//! What the two store traits promise, sentence by sentence, on SQLite and on PostgreSQL.

mod database;
mod migrations;
mod plans;
#[path = "../support/postgres.rs"]
mod postgres;
mod sessions;
mod support;
mod users;
