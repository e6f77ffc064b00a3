//! `/debug/pprof/block` and `/debug/pprof/mutex`: valid, empty, and saying why.

use std::time::Duration;

use axum::response::Response;

use super::{Query, Refusal, attachment, text};
use crate::internal::{
    heap::now,
    profile::{Measure, Profile},
};

/// As Go has them.
const MEASURES: [Measure; 2] =
    [Measure { name: "contentions", unit: "count" }, Measure { name: "delay", unit: "nanoseconds" }];

/// Tasks that wait show in the task dump, and threads that do in the stalls.
const BLOCK: &str =
    "empty: nobody counts here how long tasks wait; /debug/pprof/goroutine shows what each waits for now";
const MUTEX: &str =
    "empty: nobody counts here who waits for a lock; a worker that does so for long is named in /debug/stalls";

pub(super) async fn block(query: Query) -> Result<Response, Refusal> {
    answer("block", "--- contention:", BLOCK, &query)
}

pub(super) async fn mutex(query: Query) -> Result<Response, Refusal> {
    answer("mutex", "--- mutex:", MUTEX, &query)
}

fn answer(name: &str, heading: &str, why: &str, query: &Query) -> Result<Response, Refusal> {
    if query.whole("debug", 0..=2)?.unwrap_or(0) > 0 {
        return Ok(text(format!("{heading}\n# {why}\n")));
    }
    let profile = Profile {
        measures: MEASURES.to_vec(),
        shown: 1,
        period: Some((MEASURES[0], 1)),
        began: now(),
        took: Duration::ZERO,
        samples: Vec::new(),
        mappings: Vec::new(),
        remarks: vec![why.to_owned()],
    };
    Ok(attachment(name, profile.pprof()))
}
