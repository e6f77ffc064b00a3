//! What is there: the page for a person, a list for a program.

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::page;
use crate::telemetry::{BUILD, catalog};

/// Every path of this port with what it tells: on the page, or as JSON where `Accept` asks for it.
pub(super) async fn show(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let vary = [(header::VARY, "accept")];
    if accept.split(',').any(|range| range.trim().starts_with("application/json")) {
        let paths: Vec<_> =
            catalog::PATHS.iter().map(|path| json!({ "path": path.name, "meaning": path.meaning })).collect();
        let list =
            json!({ "service": "glasshouse", "version": BUILD.version, "revision": BUILD.revision, "paths": paths });
        return (vary, Json(list)).into_response();
    }
    (vary, page::show().await).into_response()
}

/// What is not here.
pub(super) async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "no such path on the internal port; see /\n")
}
