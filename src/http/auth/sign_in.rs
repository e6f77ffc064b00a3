//! `POST /api/v1/auth/sign-in`: e-mail and password for a session.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};

use super::{
    super::{
        Api,
        extract::{Json, Preconditions},
        layers::Client,
        problem::Problem,
        shown_password::ShownPassword,
    },
    attempt, granted,
};
use crate::domain::{
    auth::{Error, NetworkDigest},
    users::Email,
};

/// Signs in. What can be no address, or no password, gets the answer of a wrong password, after the same time.
///
/// Attempts are counted by account before anything is looked up, and alike for accounts that nobody has.
pub(in crate::http) async fn sign_in(
    State(api): State<Arc<Api>>,
    client: Option<Extension<Client>>,
    preconditions: Preconditions,
    Json(mut fields): Json,
) -> Result<Response, Problem> {
    let values = (
        fields.required("email", |text| Ok(Email::parse_kept(text).ok())),
        fields.required("password", ShownPassword::parse),
    );
    let (email, password) = fields.finish(values)?;
    preconditions.check_untagged()?;
    let from = client.map(|Extension(client)| client.network());
    let attempt = match &email {
        Some(email) => attempt(&api, email, from).await?,
        None => None,
    };
    let result = api.auth.sign_in(email.as_ref(), &password.possible()).await;
    if let (Some(attempt), Some(email)) = (attempt, &email) {
        match &result {
            Ok(grant) => {
                let network = attempt.new_network();
                attempt.succeeded();
                if let Some(network) = network {
                    api.auth.remember_network(grant.user, &NetworkDigest::of(email, &network.bytes())).await;
                }
            }
            Err(Error::CredentialsWrong) => drop(attempt),
            Err(_) => attempt.undecided(),
        }
    }
    Ok(granted(&result?))
}
