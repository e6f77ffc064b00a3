//! The service in this process, asked through its front door: what it does, and what it says of itself.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod any_bytes;
mod changing;
mod circuit;
mod contract;
mod failing;
mod faults;
mod following;
mod identity;
mod internal_port;
mod listing;
mod logs;
mod metrics;
mod permissions;
mod reading;
mod registering;
mod removing;
mod secrets;
mod signing_in;
mod statements;
mod support;
mod traces;
