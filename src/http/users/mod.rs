//! The operations on accounts: JSON to domain values, domain values to JSON.

mod change;
mod list;
mod password;
mod read;
mod register;
mod remove;

use axum::{
    Json,
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, ETAG, VARY},
    },
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use serde::Serialize;
use uuid::Uuid;

pub(super) use change::{change, replace};
pub(super) use list::list;
pub(super) use password::change_password;
pub(super) use read::{read, read_own};
pub(super) use register::register;
pub(super) use remove::remove;

use super::extract::etag;
use crate::domain::users::User;

/// Accounts may be kept by the client alone, and only shown again after asking whether they are still the same.
pub(super) const PRIVATE: [(axum::http::HeaderName, HeaderValue); 2] =
    [(CACHE_CONTROL, HeaderValue::from_static("private, no-cache")), (VARY, HeaderValue::from_static("authorization"))];

/// An account as clients see it.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    email: &'a str,
    name: &'a str,
    role: &'static str,
    created_at: String,
    updated_at: String,
}

impl<'a> From<&'a User> for Shown<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id.0,
            email: user.email.as_str(),
            name: user.name.as_str(),
            role: user.role.as_str(),
            created_at: user.created_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            updated_at: user.updated_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }
}

/// One account with its tag.
fn shown(user: &User) -> Response {
    (PRIVATE, [(ETAG, etag(user))], Json(Shown::from(user))).into_response()
}
