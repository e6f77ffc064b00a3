//! Whether the process makes progress, and whether to send traffic.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::Api;

/// `GET /health/live`: that it answers at all is the answer. Stopping, or a database that is down, is no reason to be
/// restarted.
pub(super) async fn live() -> Response {
    Json(json!({ "status": "live" })).into_response()
}

/// `GET /health/ready`: 200 or 503. With `?verbose` it says which part cannot serve, but not why: reasons may name
/// hosts, and stand on the internal port.
pub(super) async fn ready(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Response {
    let parts = api.readiness.parts().await;
    let ready = parts.iter().all(|part| part.problem.is_none());
    let mut body = json!({ "status": if ready { "ready" } else { "not ready" } });
    if query.as_deref().is_some_and(is_verbose) {
        let parts = parts.iter().map(|part| (part.name.to_owned(), Value::Bool(part.problem.is_none())));
        body["parts"] = Value::Object(parts.collect::<Map<_, _>>());
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

fn is_verbose(query: &str) -> bool {
    query.split('&').any(|parameter| parameter == "verbose" || parameter.starts_with("verbose="))
}
