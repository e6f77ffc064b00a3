//! `POST /api/v1/auth/sign-in`: e-mail and password for a session.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::{
    super::{Api, extract::Json, problem::Problem, shown_password::ShownPassword},
    granted,
};
use crate::domain::users::Email;

/// Signs in. What can be no address, or no password, gets the answer of a wrong password, after the same time.
pub(in crate::http) async fn sign_in(State(api): State<Arc<Api>>, Json(mut fields): Json) -> Result<Response, Problem> {
    let values = (
        fields.required("email", |text| Ok(Email::parse_kept(text).ok())),
        fields.required("password", ShownPassword::parse),
    );
    let (email, password) = fields.finish(values)?;
    let grant = api.auth.sign_in(email.as_ref(), &password.possible()).await?;
    Ok(granted(&grant))
}
