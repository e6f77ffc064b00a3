//! What happens to every request, whatever it asks for; `router` in the parent says in which order and why.

mod accept;
mod account;
mod body_limit;
mod client;
mod deadline;
mod faults;
mod known_query;
mod observe;
mod panics;
mod request_id;
mod safe_path;
mod traffic;

pub(super) use accept::accept;
pub(super) use body_limit::body_limit;
pub(super) use client::Peer;
pub(super) use deadline::deadline;
pub(super) use faults::faults;
pub(super) use known_query::known_query;
pub(super) use observe::{Observer, observe};
pub(super) use panics::panics;
