//! Who asks too often is refused before anything is done for it: 429.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{account::Route, client::Client};
use crate::http::{
    limits::{Limits, tell},
    problem::Problem,
};

/// Counts a request against its client's address, and says on the answer how many it has left. Probes come from one
/// address, and a probe that is refused would take the service away from everybody: they are never limited.
pub(in crate::http) async fn limit(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<Client>().copied();
    let route = Route(request.extensions().get::<MatchedPath>().cloned());
    let Some(client) = client.filter(|_| !route.is_probe()) else { return next.run(request).await };
    match limits.request(client.network()) {
        Ok(limited) => {
            let mut response = next.run(request).await;
            tell(response.headers_mut(), &limited);
            response
        }
        Err(limited) => Problem::too_many_requests(limited).into_response(),
    }
}
