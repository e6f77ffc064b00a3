//! What goes wrong around the service, and what its clients are then owed: it is killed again and again, its database is
//! killed, paused, refused, silenced, filled, replaced, and a model of all that was acknowledged says whether any of it is
//! lost or done twice.
//!
//! `CHAOS_KILLS=200` kills more often than CI has time for; `CHAOS_SEED` repeats what chance chose, as far as the machine
//! lets it.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]
#![expect(clippy::print_stdout, reason = "what was measured is told, and goes into the runbook")]

mod clients;
mod faults;
mod killed;
mod model;
mod moments;
#[path = "../support/pgbouncer.rs"]
mod pgbouncer;
mod random;
mod read_back;
mod service;
mod sqlite;
#[path = "../support/stack/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests/operate, which needs more of it")]
mod stack;
mod wire;
