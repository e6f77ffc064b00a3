//! No body is longer than is accepted: 413, before it is read where its length is told.

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::Limited;

use crate::http::problem::Problem;

/// Refuses bodies that say they are longer; the others fail while they are read (see `extract/json.rs`).
pub(in crate::http) async fn body_limit(State(max_bytes): State<usize>, request: Request, next: Next) -> Response {
    let told = request.body().size_hint();
    let max = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    if told.lower() > max {
        return Problem::body_too_large().into_response();
    }
    if told.upper().is_some_and(|upper| upper <= max) {
        return next.run(request).await;
    }
    next.run(request.map(|body| Body::new(Limited::new(body, max_bytes)))).await
}
