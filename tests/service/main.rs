//! The service in this process, asked through its front door: what it does, and what it says of itself.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod any_bytes;
mod auditing;
mod browsers;
mod changing;
mod circuit;
mod connections;
mod contract;
mod deadlines;
mod failing;
mod faults;
mod following;
mod identity;
mod internal_port;
mod leaking;
mod limiting;
mod listing;
mod logs;
mod metrics;
mod overload;
mod permissions;
mod pooler;
mod reading;
mod refresh_rotation;
mod registering;
mod removing;
mod repeating;
mod secrets;
mod signing_in;
mod statements;
mod support;
mod tokens;
mod traces;
mod unknown_input;
mod write_outcomes;
