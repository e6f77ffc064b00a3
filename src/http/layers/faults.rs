//! Requests meet the faults that somebody asked for: nearest to the work, so that all layers see them as they would see
//! real ones.

use axum::extract::{MatchedPath, Request};

use crate::{faults::Switchboard, http::problem::Problem};

/// Delays, breaks or keeps a request if a fault is on at its route. Probes are no place for a fault: the switchboard knows
/// only operations.
pub(super) fn inject(faults: &Switchboard, request: &Request) -> impl Future<Output = Result<(), Problem>> + Send {
    let place = faults.is_on().then(|| {
        let route = request.extensions().get::<MatchedPath>().cloned()?;
        Some((request.method().clone(), route))
    });
    async move {
        let Some((method, route)) = place.flatten() else { return Ok(()) };
        Ok(faults.at_route(method.as_str(), route.as_str()).await?)
    }
}
