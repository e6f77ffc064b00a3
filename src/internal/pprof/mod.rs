//! Go's `/debug/pprof`, to its contract: `go tool pprof`, Pyroscope, Parca and Alloy read it as they are.

mod answer;
mod cmdline;
mod empty;
mod heap;
mod index;
mod query;
mod symbol;
mod threads;

pub(super) use answer::{Refusal, attachment, picture, text};
pub(super) use heap::routes as heap;
pub(super) use index::routes as index;
pub(super) use query::Query;
