//! `/debug/config`: the settings in force.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// As `app` handed them over: secrets are redacted before they get here.
pub(super) async fn show(State(settings): State<Arc<Value>>) -> Response {
    // A setting to a line: it is read in terminals, and searched with grep.
    let lines = settings.as_object().into_iter().flatten().map(|(name, setting)| format!("{}: {setting}", json!(name)));
    let shown = format!("{{\n{}\n}}\n", lines.collect::<Vec<_>>().join(",\n"));
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], shown).into_response()
}
