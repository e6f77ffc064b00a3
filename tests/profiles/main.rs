//! Finding the guilty code from the internal port: what is measured of the whole process, in a process of its own.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod stalls;
#[path = "../service/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests/service, which needs more of it")]
mod support;

mod tasks;
mod tasks_under_load;
mod trace;
