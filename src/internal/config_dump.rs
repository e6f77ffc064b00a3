//! `/debug/config`: the settings in force.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::Value;

/// As `app` handed them over: secrets are redacted before they get here.
pub(super) async fn show(State(settings): State<Arc<Value>>) -> Json<Arc<Value>> {
    Json(settings)
}
