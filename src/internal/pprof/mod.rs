//! Go's `/debug/pprof`, to its contract: `go tool pprof`, Pyroscope, Parca and Alloy read it as they are.

mod answer;
mod cmdline;
mod cpu;
mod empty;
mod form;
mod heap;
mod index;
mod query;
mod shared;
mod symbol;
mod tally;
mod tasks;
mod threads;
mod trace;

use axum::{Router, routing::get};
use tokio::runtime::Handle;

use crate::telemetry::timeline::Timeline;

pub(super) use answer::{Refusal, attachment, picture, text};
pub(super) use query::Query;
pub(super) use tasks::listing as task_listing;

/// Everything below `/debug/pprof/`; the tasks are those of these runtimes.
pub(super) fn routes(runtimes: Vec<(&'static str, Handle)>, timeline: (Timeline, Handle)) -> Router {
    Router::new()
        .route("/debug/pprof/profile", get(cpu::show))
        .route("/debug/pprof/goroutine", tasks::route(runtimes))
        .route("/debug/pprof/trace", trace::route(timeline))
        .merge(heap::routes())
        .merge(index::routes())
}
