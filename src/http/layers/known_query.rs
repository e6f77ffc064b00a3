//! Refuses parameters that an operation does not know: a filter that is misspelt must not mean everything.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

use super::super::{extract::refuse_unknown, openapi, problem::Problem};

/// 422 with every parameter that is not in the operation's description.
pub(in crate::http) async fn known_query(request: Request, next: Next) -> Result<Response, Problem> {
    if let Some(query) = request.uri().query() {
        let template = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        refuse_unknown(query, &openapi::query_parameters(request.method(), template))?;
    }
    Ok(next.run(request).await)
}
