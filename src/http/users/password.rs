//! `PUT /api/v1/users/{id}/password`: replaces a password; every other session of that user ends.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::super::{
    Api,
    extract::{Json, Signed, Target},
    problem::Problem,
    shown_password::ShownPassword,
};
use crate::domain::auth::Password;

/// Changes the password. An old one that is too long to be anybody's is wrong, at the price of a wrong one.
pub(in crate::http) async fn change_password(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    Target(id): Target,
    Json(mut fields): Json,
) -> Result<StatusCode, Problem> {
    let values =
        (fields.required("old_password", ShownPassword::parse), fields.required("new_password", Password::parse));
    let (old, new) = fields.finish(values)?;
    api.users.change_password(&caller, id, &old.possible(), &new).await?;
    Ok(StatusCode::NO_CONTENT)
}
