//! `GET /.well-known/jwks.json`: the public keys, for those who check our access tokens themselves (RFC 7517).

use std::sync::Arc;

use axum::{
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
};

use super::Api;

/// Keys are announced before they sign, and kept for a while after: five minutes are nothing in a rotation.
pub(super) async fn jwks(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let body = serde_json::to_vec(api.auth.keys().public()).expect("a key set can always be written");
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], body)
}
