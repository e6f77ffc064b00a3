//! Signing in and out, and prolonging a session.

mod attempt;
mod refresh;
mod sign_in;
mod sign_out;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde::Serialize;

pub(super) use attempt::attempt;
pub(super) use refresh::refresh;
pub(super) use sign_in::sign_in;
pub(super) use sign_out::sign_out;

use crate::domain::auth::Grant;

/// A grant as RFC 6749, section 5.1, writes it. Like every answer that says nothing else, it is never stored.
#[derive(Serialize)]
struct Granted<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: &'a str,
}

fn granted(grant: &Grant) -> Response {
    Json(Granted {
        access_token: grant.access_token.expose_secret(),
        token_type: "Bearer",
        expires_in: grant.expires_in.as_secs(),
        refresh_token: grant.refresh_token.expose_secret(),
    })
    .into_response()
}
