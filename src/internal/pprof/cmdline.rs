//! `/debug/pprof/cmdline`: how this process was called, with zeros between the words. No secret can be in it: the
//! command line takes none.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Refusal;

/// More than this much of it is cut; nobody calls us so.
const LONGEST: usize = 64 * 1024;

pub(super) async fn show() -> Result<Response, Refusal> {
    let read = std::fs::read("/proc/self/cmdline");
    let mut words = read.map_err(|error| {
        let reason = format!("only Linux tells how a process was called, in /proc/self/cmdline: {error}");
        Refusal::new(StatusCode::NOT_IMPLEMENTED, reason)
    })?;
    // Go has zeros between the words, Linux one after each.
    words.pop_if(|last| *last == 0);
    words.truncate(LONGEST);
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, words).into_response())
}
