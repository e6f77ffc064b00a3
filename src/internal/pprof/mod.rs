//! Go's `/debug/pprof`, to its contract: `go tool pprof`, Pyroscope, Parca and Alloy read it as they are.

mod answer;
mod query;
pub(super) mod tasks;
pub(super) mod trace;

pub(super) use answer::{Refusal, attachment, picture, text};
pub(super) use query::Query;
