//! An instance that will stop says so in each answer, as long as it still answers: `Connection: close`.
//!
//! A balancer that counts connections and not requests never sends a client that keeps its connection elsewhere. And a
//! connection that has ended by then is not closed at the moment at which its client sends the next request.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Version, header},
    middleware::Next,
    response::Response,
};

use crate::lifecycle::Latch;

/// Ends an HTTP/1 connection with the answer while the port's latch is held. HTTP/2 has no such header: its clients are
/// told when accepting ends, in a way that loses no request.
pub(in crate::http) async fn leaving(State(serving): State<Arc<Latch>>, request: Request, next: Next) -> Response {
    let version = request.version();
    let mut answer = next.run(request).await;
    if version < Version::HTTP_2 && !serving.is_released() {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}
