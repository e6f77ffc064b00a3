//! Attempts at a password: counted by account, with known networks from this instance or from the store.

use super::super::{Api, layers::Network, limits::Attempt, problem::Problem};
use crate::domain::{auth::NetworkDigest, users::Email};

/// Lets an attempt at the password of an account begin; none where limits are off.
///
/// Only an attempt that would be refused asks the store whether it knows the network, whether or not there is such an
/// account.
///
/// # Errors
/// 429.
pub(in crate::http) async fn attempt<'a>(
    api: &'a Api,
    account: &Email,
    from: Option<Network>,
) -> Result<Option<Attempt<'a>>, Problem> {
    let Some(limits) = &api.limits else { return Ok(None) };
    let refused = match limits.sign_ins.attempt(account, from) {
        Ok(attempt) => return Ok(Some(attempt)),
        Err(refused) => refused,
    };
    // A network that this instance knows has a bucket, and that is empty.
    if let Some(from) = from.filter(|from| !limits.sign_ins.knows(account, *from))
        && api.auth.is_known_network(&NetworkDigest::of(account, &from.bytes())).await
    {
        limits.sign_ins.add_known(account, from);
        if let Ok(attempt) = limits.sign_ins.attempt(account, Some(from)) {
            return Ok(Some(attempt));
        }
    }
    api.auth.limited_sign_in();
    Err(Problem::too_many_sign_ins(refused))
}
