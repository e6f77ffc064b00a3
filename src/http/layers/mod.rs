//! The middleware of the public port; `stack.rs` has its order.

mod accept;
mod account;
mod body_limit;
mod browsers;
mod client;
mod cors;
mod deadline;
mod faults;
mod host;
mod known_query;
mod leaving;
mod limit;
mod observe;
mod request_id;
mod safe_path;
mod shed;
mod stack;
mod traffic;

pub(super) use client::{Client, Network, Peer, is_trusted};
pub(super) use cors::Origins;
pub(super) use observe::Observer;
pub use shed::PASSWORD_BURST_FACTOR;
pub(super) use shed::{Class, Shed, shed};
pub(super) use stack::{EdgeConfig, edge, operation};
