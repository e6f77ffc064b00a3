//! Refuses parameters that an operation does not know: a filter that is misspelt must not mean everything.

use axum::extract::{MatchedPath, Request};

use super::super::{extract::refuse_unknown, openapi, problem::Problem};

/// Refuses parameters that are not in the operation's description.
///
/// # Errors
/// 422 with every such parameter.
pub(super) fn reject_unknown_query_params(request: &Request) -> Result<(), Problem> {
    let Some(query) = request.uri().query() else { return Ok(()) };
    let template = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    refuse_unknown(query, &openapi::query_parameters(request.method(), template))
}
