//! `POST /api/v1/auth/refresh`: a refresh token for the next grant.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::{
    super::{
        Api,
        extract::{Json, Preconditions},
        problem::Problem,
    },
    granted,
};
use crate::domain::auth::RefreshToken;

/// Refreshes. A text that is no token of ours is as invalid as one that has ended.
pub(in crate::http) async fn refresh(
    State(api): State<Arc<Api>>,
    preconditions: Preconditions,
    Json(mut fields): Json,
) -> Result<Response, Problem> {
    let token = fields.required("refresh_token", |text| Ok(RefreshToken::parse(text).ok()));
    let (token,) = fields.finish((token,))?;
    preconditions.check_untagged()?;
    let grant = api.auth.refresh(&token.ok_or_else(Problem::refresh_token_invalid)?).await?;
    Ok(granted(&grant))
}
