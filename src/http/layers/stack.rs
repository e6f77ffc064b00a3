//! The middleware of the public port in its order: around all routes, and around the routes of operations.
//!
//! Each of the two is one layer of axum, and most of their steps are plain functions. axum boxes the future of every layer,
//! and with each request it clones the service below every layer, which is boxed again: nine layers made more than fifty
//! allocations.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use super::{
    accept::require_json_accepted,
    body_limit::limit_body,
    cors::{Origins, preflight},
    deadline::deadline,
    faults::inject,
    host::require_one_host,
    known_query::reject_unknown_query_params,
    leaving::close_connection_while_draining,
    limit::count_against_limit,
    observe::{Observer, observe},
};
use crate::{
    faults::Switchboard,
    http::{
        limits::{Limits, tell},
        problem::Problem,
    },
    lifecycle::Latch,
};

/// The settings of the middleware around all routes.
pub(in crate::http) struct EdgeConfig {
    /// Held when the port will soon be closed.
    pub(in crate::http) serving: Arc<Latch>,
    pub(in crate::http) observer: Arc<Observer>,
    pub(in crate::http) origins: Origins,
    /// None if no client is limited.
    pub(in crate::http) limits: Option<Arc<Limits>>,
    pub(in crate::http) request_timeout: Duration,
    /// A shorter deadline of the client does not count against the service.
    pub(in crate::http) min_client_timeout: Duration,
    pub(in crate::http) max_body_bytes: usize,
}

/// Wraps every route and the answer where there is none. From the outside in:
///
/// 1. While the instance drains, every answer ends its connection.
/// 2. `observe` records every answer: log, metrics, span.
/// 3. Pages of configured origins may read all answers below.
/// 4. A panic below becomes a 500.
/// 5. The limit of the client's network comes before any step that answers: 429.
/// 6. A preflight request is answered.
/// 7. The deadline bounds all that reads and works: 504.
/// 8. A request that two readers could read differently is refused: 400.
/// 9. A body is bounded before it is read: 413.
pub(in crate::http) async fn edge(State(edge): State<Arc<EdgeConfig>>, request: Request, next: Next) -> Response {
    let version = request.version();
    let mut response = observe(&edge.observer, request, |request| answer(&edge, request, next)).await;
    close_connection_while_draining(&edge.serving, version, &mut response);
    response
}

/// Steps 3 and 4. Nothing of the request is read after a panic, so no half-changed state of it can be seen.
async fn answer(edge: &EdgeConfig, mut request: Request, next: Next) -> Response {
    let allowed = edge.origins.allow(&mut request);
    let answered = AssertUnwindSafe(limited(edge, request, next)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| Problem::panic().into_response());
    edge.origins.write_headers(allowed, &mut response);
    response
}

/// Steps 5 to 9.
async fn limited(edge: &EdgeConfig, request: Request, next: Next) -> Response {
    let limited = match edge.limits.as_deref().map(|limits| count_against_limit(limits, &request)).transpose() {
        Ok(limited) => limited.flatten(),
        Err(problem) => return problem.into_response(),
    };
    let mut response = if let Some(response) = preflight(&request) {
        response
    } else {
        let timeouts = (edge.request_timeout, edge.min_client_timeout);
        deadline(timeouts, request, |request| checked(edge.max_body_bytes, request, next)).await
    };
    if let Some(limited) = limited {
        tell(response.headers_mut(), &limited);
    }
    response
}

/// Steps 8 and 9.
async fn checked(max_body_bytes: usize, request: Request, next: Next) -> Response {
    match require_one_host(&request).and_then(|()| limit_body(request, max_body_bytes)) {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Wraps the operations only: documents, probes and keys have media types and parameters of their own. From the outside
/// in:
///
/// 1. Injected faults, so that all steps above see them as they see real ones.
/// 2. A client that excludes JSON is refused: 406.
/// 3. Unknown parameters are refused: 422.
///
/// # Errors
/// The refusal.
pub(in crate::http) async fn operation(
    State(faults): State<Switchboard>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    inject(&faults, &request).await?;
    require_json_accepted(&request)?;
    reject_unknown_query_params(&request)?;
    Ok(next.run(request).await)
}
