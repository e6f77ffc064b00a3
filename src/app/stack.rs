//! The domain on top of the store.

use std::sync::Arc;

use anyhow::Context;

use crate::{
    config::Settings,
    domain::{
        Clock,
        auth::{Auth, AuthMetrics, HashingMetrics, Keys, Passwords, Tokens},
        users::{UserMetrics, Users},
    },
    store::Store,
    telemetry::Metrics,
};

/// What the edges bring their work to.
pub(super) struct Stack {
    /// Accounts.
    pub(super) users: Arc<Users>,
    /// Who is who.
    pub(super) auth: Arc<Auth>,
}

impl Stack {
    /// Puts the domain on top of a store.
    ///
    /// # Errors
    /// When a key cannot be read, which the settings have checked.
    pub(super) fn build(settings: &Settings, store: &Store, clock: &Clock, metrics: &Metrics) -> anyhow::Result<Self> {
        let auth = &settings.auth;
        let keys = Keys::parse(&auth.signing_key, &auth.verification_keys).context("auth.signing_key")?;
        let tokens =
            Tokens::new(keys, auth.issuer.clone(), auth.audience.clone(), auth.access_token_lifetime, clock.clone());
        let passwords = Passwords::start(auth.password_workers, auth.password_wait, HashingMetrics::new(metrics))
            .context("the threads that hash passwords cannot be started")?;
        let users = Users::new(Arc::clone(&store.users), passwords.clone(), clock.clone(), UserMetrics::new(metrics));
        let auth = Auth::new(
            Arc::clone(&store.users),
            Arc::clone(&store.sessions),
            passwords,
            tokens,
            auth.refresh_token_lifetime,
            clock.clone(),
            AuthMetrics::new(metrics),
        );
        Ok(Self { users: Arc::new(users), auth: Arc::new(auth) })
    }
}
