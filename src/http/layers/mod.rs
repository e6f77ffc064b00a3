//! What happens to every request, whatever it asks for; `router` in the parent says in which order and why.

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
mod panics;
mod request_id;
mod safe_path;
mod shed;
mod traffic;

pub(super) use accept::accept;
pub(super) use body_limit::body_limit;
pub(super) use client::{Client, Network, Peer, is_trusted};
pub(super) use cors::{Origins, cors, preflight};
pub(super) use deadline::deadline;
pub(super) use faults::faults;
pub(super) use host::host;
pub(super) use known_query::known_query;
pub(super) use leaving::leaving;
pub(super) use limit::limit;
pub(super) use observe::{Observer, observe};
pub(super) use panics::panics;
pub(super) use shed::{Class, Shed, shed};
