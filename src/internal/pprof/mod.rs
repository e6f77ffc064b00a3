//! Go's `/debug/pprof`, to its contract: `go tool pprof`, Pyroscope, Parca and Alloy read it as they are.

mod answer;
mod cmdline;
mod empty;
mod heap;
mod index;
mod query;
mod symbol;
mod threads;
mod cpu;
mod query;
mod tally;
mod turn;

use axum::{
    Router,
    http::StatusCode,
    routing::{any, get},
};

pub(super) use answer::{Refusal, attachment, picture, text};
pub(super) use heap::routes as heap;
pub(super) use index::routes as index;
pub(super) use query::Query;

/// The routes below `/debug/pprof`.
pub(super) fn routes() -> Router {
    Router::new().route("/debug/pprof/profile", get(cpu::show)).route("/debug/pprof/{*profile}", any(unknown))
}

async fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "unknown profile")
}
