//! Finding the guilty code from the internal port: what is measured of the whole process, in a process of its own.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

#[path = "../service/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "shared with tests/service, which needs more of it")]
mod support;

mod go;
mod heap;
mod index;
#[path = "../process/program.rs"]
#[allow(dead_code, reason = "shared with tests/process, which needs more of it")]
mod program;
#[path = "../clients/tool.rs"]
#[allow(dead_code, reason = "shared with tests/clients, which needs more of it")]
mod tool;
