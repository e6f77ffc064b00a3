//! No body is longer than is accepted: 413, before it is read where its length is told.

use axum::{
    body::{Body, HttpBody},
    extract::Request,
};
use http_body_util::Limited;

use crate::http::problem::Problem;

/// Bounds the body of a request; a body without a length fails while it is read (see `extract/json.rs`).
///
/// # Errors
/// 413 for a body whose length is known to be greater.
pub(super) fn limit_body(request: Request, max_bytes: usize) -> Result<Request, Problem> {
    let size = request.body().size_hint();
    let max = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    if size.lower() > max {
        return Err(Problem::body_too_large());
    }
    if size.upper().is_some_and(|upper| upper <= max) {
        return Ok(request);
    }
    Ok(request.map(|body| Body::new(Limited::new(body, max_bytes))))
}
