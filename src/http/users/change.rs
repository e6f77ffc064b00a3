//! `PUT` and `PATCH /api/v1/users/{id}`: changes an account, but never over the head of somebody else's change.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::{
    super::{
        Api,
        extract::{Json, MergePatch, Preconditions, Signed, Target},
        problem::Problem,
    },
    shown,
};
use crate::domain::{
    auth::Caller,
    users::{Change, Email, Name, Role, UserId},
};

/// Replaces what a client can change: e-mail and name must be there, a role that is absent stays.
pub(in crate::http) async fn replace(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    Target(id): Target,
    preconditions: Preconditions,
    Json(mut fields): Json,
) -> Result<Response, Problem> {
    let preconditions = preconditions.require_if_match()?;
    let values = (
        fields.required("email", Email::parse),
        fields.required("name", Name::parse),
        fields.optional("role", Role::parse),
    );
    let (email, name, role) = fields.finish(values)?;
    apply(&api, &caller, id, &preconditions, &Change { email: Some(email), name: Some(name), role }).await
}

/// Changes what the patch names (RFC 7396).
pub(in crate::http) async fn change(
    State(api): State<Arc<Api>>,
    Signed(caller): Signed,
    Target(id): Target,
    preconditions: Preconditions,
    MergePatch(mut fields): MergePatch,
) -> Result<Response, Problem> {
    let preconditions = preconditions.require_if_match()?;
    let values = (
        fields.optional("email", Email::parse),
        fields.optional("name", Name::parse),
        fields.optional("role", Role::parse),
    );
    let (email, name, role) = fields.finish(values)?;
    apply(&api, &caller, id, &preconditions, &Change { email, name, role }).await
}

async fn apply(
    api: &Api,
    caller: &Caller,
    id: UserId,
    preconditions: &Preconditions,
    change: &Change,
) -> Result<Response, Problem> {
    let changed = api.users.change(caller, id, &preconditions.condition(id), change).await;
    Ok(shown(&changed.map_err(|error| preconditions.problem(error, id))?))
}
