//! The built executable, as an operator meets it: its exit codes, its faults, its signals, its first start.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

#[path = "../support/canaries.rs"]
mod canaries;
mod faults;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(target_os = "linux")]
mod memory;
mod open_files;
#[allow(dead_code, reason = "shared with tests/profiles, which needs more of it")]
mod program;
mod repeating;
mod settings;
mod starting;
mod stdout;
mod stopping;
mod telemetry;
