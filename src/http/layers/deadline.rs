//! No request takes for ever: 504 when our time is over, 408 when it was the client's.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::traffic::Upload;
use crate::http::problem::Problem;

/// Gives up on a request after so long; what works for it is dropped.
pub(in crate::http) async fn deadline(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let upload = request.extensions().get::<Arc<Upload>>().cloned();
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        // A slow sender must not look like a slow service.
        Err(_) if upload.is_some_and(|upload| upload.is_waiting()) => {
            let detail = "the body did not arrive in time";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail).into_response()
        }
        Err(_) => Problem::timeout().into_response(),
    }
}
