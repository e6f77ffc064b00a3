//! `GET /api/v1/users/{id}` and `GET /api/v1/users/me`: one account.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header::ETAG},
    response::{IntoResponse, Response},
};

use super::{
    super::{
        Api,
        extract::{Preconditions, Signed, Target, etag},
        problem::Problem,
    },
    PRIVATE, shown,
};
use crate::domain::users::User;

/// Reads the account of that id.
pub(in crate::http) async fn read(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    Target(id): Target,
    preconditions: Preconditions,
) -> Result<Response, Problem> {
    shown_if_modified(&api.users.read(&caller, id).await?, &preconditions)
}

/// Reads the caller's own account.
pub(in crate::http) async fn read_own(
    Signed(caller): Signed,
    preconditions: Preconditions,
) -> Result<Response, Problem> {
    shown_if_modified(&caller.user, &preconditions)
}

fn shown_if_modified(user: &User, preconditions: &Preconditions) -> Result<Response, Problem> {
    if preconditions.is_not_modified(user)? {
        return Ok((StatusCode::NOT_MODIFIED, PRIVATE, [(ETAG, etag(user))]).into_response());
    }
    Ok(shown(user))
}
