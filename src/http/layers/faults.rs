//! Requests meet the faults that somebody asked for: nearest to the work, so that all layers see them as they would see
//! real ones.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{faults::Switchboard, http::problem::Problem};

/// Delays, breaks or keeps a request if a fault is on where it goes. Probes are no place for a fault: the switchboard
/// knows only operations.
pub(in crate::http) async fn faults(State(faults): State<Switchboard>, request: Request, next: Next) -> Response {
    if faults.is_on()
        && let Some(route) = request.extensions().get::<MatchedPath>().cloned()
    {
        let method = request.method().clone();
        if let Err(injected) = faults.at_route(method.as_str(), route.as_str()).await {
            return Problem::from(injected).into_response();
        }
    }
    next.run(request).await
}
