//! A panic becomes a 500; the panic hook has counted it and written it down already.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use crate::http::problem::Problem;

/// Answers for what cannot answer any more. Nothing of the request is looked at afterwards, so no half-changed state
/// of it can be seen.
pub(in crate::http) async fn panics(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| Problem::panic().into_response())
}
