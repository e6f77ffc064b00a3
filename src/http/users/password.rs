//! `PUT /api/v1/users/{id}/password`: replaces a password; every other session of that user ends.

use std::sync::Arc;

use axum::{Extension, extract::State, http::StatusCode};

use super::super::{
    Api,
    auth::attempt,
    extract::{Json, Preconditions, Signed, Target},
    layers::Client,
    problem::Problem,
    shown_password::ShownPassword,
};
use crate::domain::{auth::Password, users::Error};

/// Changes the password. An old one that is too long to be anybody's is wrong, at the price of a wrong one.
///
/// A wrong one counts as an attempt to sign in: whoever has a copied token would guess here otherwise.
pub(in crate::http) async fn change_password(
    State(api): State<Arc<Api>>,
    client: Option<Extension<Client>>,
    Signed(caller): Signed,
    Target(id): Target,
    preconditions: Preconditions,
    Json(mut fields): Json,
) -> Result<StatusCode, Problem> {
    let values =
        (fields.required("old_password", ShownPassword::parse), fields.required("new_password", Password::parse));
    let (old, new) = fields.finish(values)?;
    if let Err(problem) = preconditions.check_untagged() {
        // What would be 403 or 404 without the precondition stays so (RFC 9110, section 13.2.1).
        api.users.read(&caller, id).await?;
        return Err(problem);
    }
    let from = client.map(|Extension(client)| client.network());
    let attempt = attempt(&api, &caller.user.email, from).await?;
    let changed = api.users.change_password(&caller, id, &old.possible(), &new).await;
    // A right one is undecided too: it must not make the address of whoever holds a copied token a known one.
    if let Some(attempt) = attempt.filter(|_| !matches!(changed, Err(Error::PasswordWrong))) {
        attempt.undecided();
    }
    changed?;
    Ok(StatusCode::NO_CONTENT)
}
