//! `DELETE /api/v1/users/{id}`: removes an account; its tokens stop working at once.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::super::{
    Api,
    extract::{Preconditions, Signed, Target},
    problem::Problem,
};

/// Removes. `If-Match` is evaluated but not required: a removal overwrites nothing that the client has not read.
pub(in crate::http) async fn remove(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    Target(id): Target,
    preconditions: Preconditions,
) -> Result<StatusCode, Problem> {
    let removed = api.users.remove(&caller, id, &preconditions.condition(id)).await;
    removed.map_err(|error| preconditions.problem(error, id))?;
    Ok(StatusCode::NO_CONTENT)
}
