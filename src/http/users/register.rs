//! `POST /api/v1/users`: makes an account; once, however often it is sent with one key. Open to everyone.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};

use super::{
    super::{
        Api,
        extract::{Json, Once, Preconditions},
        problem::Problem,
    },
    shown,
};
use crate::domain::{
    auth::Password,
    users::{Email, Name, Registration},
};

/// Registers.
pub(in crate::http) async fn register(
    State(api): State<Arc<Api>>,
    Once(key): Once,
    preconditions: Preconditions,
    Json(mut fields): Json,
) -> Result<Response, Problem> {
    let values = (
        fields.required("email", Email::parse),
        fields.required("name", Name::parse),
        fields.required("password", Password::parse),
    );
    let (email, name, password) = fields.finish(values)?;
    preconditions.check_untagged()?;
    let registration = Registration { email, name, password };
    let user = match key {
        Some(key) => api.users.register_once(&key, registration).await?,
        None => api.users.register(registration).await?,
    };
    let location = format!("/api/v1/users/{}", user.id.0);
    Ok((StatusCode::CREATED, [(LOCATION, location)], shown(&user)).into_response())
}
