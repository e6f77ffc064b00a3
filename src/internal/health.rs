//! Health on this port too, so that probes are answered when the public port is swamped.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Watch;
use crate::lifecycle::Readiness;

/// Fails only if the process cannot make progress: its main runtime has been stuck for longer than the limit.
pub(super) async fn live(State(watch): State<Watch>) -> Response {
    match watch.stalled_for() {
        None => answer(StatusCode::OK, "ok\n"),
        Some(stuck) => answer(StatusCode::SERVICE_UNAVAILABLE, &format!("the main runtime is stuck for {stuck:.1?}\n")),
    }
}

/// Whether to send traffic; `?verbose` says part by part, and why not.
pub(super) async fn ready(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> Response {
    let parts = readiness.parts().await;
    let is_ready = parts.iter().all(|part| part.problem.is_none());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if query
        .as_deref()
        .is_some_and(|query| query.split('&').any(|pair| pair == "verbose" || pair.starts_with("verbose=")))
    {
        let parts: BTreeMap<_, _> =
            parts.into_iter().map(|part| (part.name, part.problem.unwrap_or_else(|| "ok".to_owned()))).collect();
        return (status, [(header::CACHE_CONTROL, "no-store")], Json(parts)).into_response();
    }
    answer(status, if is_ready { "ok\n" } else { "not ready\n" })
}

fn answer(status: StatusCode, text: &str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], text.to_owned()).into_response()
}
