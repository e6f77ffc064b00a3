//! `POST /api/v1/users`: makes an account. Open to everyone.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};

use super::{
    super::{Api, extract::Json, problem::Problem},
    shown,
};
use crate::domain::{
    auth::Password,
    users::{Email, Name, Registration},
};

/// Registers.
pub(in crate::http) async fn register(
    State(api): State<Arc<Api>>,
    Json(mut fields): Json,
) -> Result<Response, Problem> {
    let values = (
        fields.required("email", Email::parse),
        fields.required("name", Name::parse),
        fields.required("password", Password::parse),
    );
    let (email, name, password) = fields.finish(values)?;
    let user = api.users.register(Registration { email, name, password }).await?;
    let location = format!("/api/v1/users/{}", user.id.0);
    Ok((StatusCode::CREATED, [(LOCATION, location)], shown(&user)).into_response())
}
