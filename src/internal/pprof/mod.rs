//! Go's `/debug/pprof`, to its contract: `go tool pprof`, Pyroscope, Parca and Alloy read it as they are.

mod answer;
mod cmdline;
mod cpu;
mod empty;
mod heap;
mod index;
mod query;
mod symbol;
mod tally;
mod threads;
mod turn;

use axum::{Router, routing::get};

pub(super) use answer::{Refusal, attachment, picture, text};
pub(super) use query::Query;

/// Everything below `/debug/pprof/`.
pub(super) fn routes() -> Router {
    Router::new().route("/debug/pprof/profile", get(cpu::show)).merge(heap::routes()).merge(index::routes())
}
