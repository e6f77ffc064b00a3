//! `/debug/build`: which build this is.

use axum::Json;
use serde_json::{Value, json};

use crate::telemetry::BUILD;

/// Version, revision, compiler, and what the build was made with.
pub(super) async fn show() -> Json<Value> {
    Json(json!({
        "version": BUILD.version,
        "revision": BUILD.revision,
        "rustc": BUILD.rustc,
        "profile": BUILD.profile,
        "target": BUILD.target,
        "features": { "tokio_unstable": cfg!(tokio_unstable), "jemalloc": true },
    }))
}
