//! Who asks too often is refused before anything is done for it: 429.

use axum::extract::{MatchedPath, Request};

use super::{account::Route, client::Client};
use crate::http::{
    limits::{Limited, Limits},
    problem::Problem,
};

/// Counts a request against its client's network. Returns what the client has left, for the answer's headers. Probes come
/// from one address, and a probe that is refused would take the service away from every client: they are never limited.
///
/// # Errors
/// 429 when nothing is left.
pub(super) fn count_against_limit(limits: &Limits, request: &Request) -> Result<Option<Limited>, Problem> {
    let client = request.extensions().get::<Client>().copied();
    let route = Route(request.extensions().get::<MatchedPath>().cloned());
    let Some(client) = client.filter(|_| !route.is_probe()) else { return Ok(None) };
    limits.request(client.network()).map(Some).map_err(Problem::too_many_requests)
}
