//! `POST /api/v1/auth/sign-out`: ends the session of the access token that is shown.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::super::{
    Api,
    extract::{Preconditions, Signed},
    problem::Problem,
};

/// Signs out.
pub(in crate::http) async fn sign_out(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    preconditions: Preconditions,
) -> Result<StatusCode, Problem> {
    preconditions.check_untagged()?;
    api.auth.sign_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
