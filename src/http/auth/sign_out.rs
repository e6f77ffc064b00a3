//! `POST /api/v1/auth/sign-out`: ends the session of the access token that is shown.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::super::{Api, extract::Signed, problem::Problem};

/// Signs out.
pub(in crate::http) async fn sign_out(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
) -> Result<StatusCode, Problem> {
    api.auth.sign_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
