//! The page a person sees first, and what a program gets instead.

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use crate::telemetry::{BUILD, catalog};

/// Every path of this port with what it tells: HTML, or JSON where `Accept` asks for it.
pub(super) async fn show(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.split(',').any(|range| range.trim().starts_with("application/json")) {
        let paths: Vec<_> =
            catalog::PATHS.iter().map(|path| json!({ "path": path.name, "meaning": path.meaning })).collect();
        return Json(
            json!({ "service": "glasshouse", "version": BUILD.version, "revision": BUILD.revision, "paths": paths }),
        )
        .into_response();
    }
    let row =
        |path: &catalog::Signal| format!("<dt><a href=\"{0}\">{0}</a></dt><dd>{1}</dd>\n", path.name, path.meaning);
    let rows = catalog::PATHS.iter().map(row).collect::<Vec<_>>().concat();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>glasshouse, internal</title>\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"viewport\" content=\"width=device-width\"></head>\n<body><h1>glasshouse, internal</h1>\n\
         <p>version {}, revision {}</p>\n<dl>\n{rows}</dl></body></html>\n",
        BUILD.version, BUILD.revision
    );
    let policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// What is not here.
pub(super) async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "no such path on the internal port; see /\n")
}
