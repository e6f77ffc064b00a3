//! `DELETE /api/v1/users/{id}`: removes an account; its tokens stop working at once.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::super::{
    Api,
    extract::{IfMatch, Signed, Target},
    problem::Problem,
};

/// Removes. `If-Match` is honoured and not asked for: who removes an account means whatever has become of it.
pub(in crate::http) async fn remove(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    Target(id): Target,
    seen: IfMatch,
) -> Result<StatusCode, Problem> {
    let seen = seen.seen(&api.users, &caller, id).await?;
    api.users.remove(&caller, id, seen).await?;
    Ok(StatusCode::NO_CONTENT)
}
