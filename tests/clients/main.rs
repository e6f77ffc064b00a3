//! The service as others meet it: programs and libraries that were not made for it, and plain octets on its sockets.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod browser;
mod connections;
mod console;
mod contract;
mod front;
mod fuzzer;
mod internal_page;
mod internal_tools;
mod metrics;
mod page;
mod prometheus;
#[path = "../service/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests/service, which needs more of it")]
mod support;
mod tokens;
mod tool;
