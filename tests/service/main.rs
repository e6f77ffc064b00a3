//! The service in this process, asked through its front door: what it does, and what it says of itself.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod contract;
mod support;
mod traces;
