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
        extract::{IfNoneMatch, Signed, Target, etag},
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
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    Ok(shown_unless_known(&api.users.read(&caller, id).await?, &known))
}

/// Reads the caller's own account.
pub(in crate::http) async fn read_own(Signed(caller): Signed, known: IfNoneMatch) -> Response {
    shown_unless_known(&caller.user, &known)
}

fn shown_unless_known(user: &User, known: &IfNoneMatch) -> Response {
    if known.knows(user) {
        return (StatusCode::NOT_MODIFIED, PRIVATE, [(ETAG, etag(user))]).into_response();
    }
    shown(user)
}
