//! The domain on top of the store, with what stands between: the circuit breaker, outside of everything that a database
//! call is measured by. A refusal is no database latency, and a fault on purpose looks to the breaker like a real one.

use std::sync::Arc;

use anyhow::Context;

use crate::{
    config::Settings,
    domain::{
        Clock,
        audit::Audit,
        auth::{Auth, AuthMetrics, HashingMetrics, Keys, Passwords, SessionRules, TokenTimes, Tokens},
        users::{UserMetrics, Users},
    },
    store::{Guarded, Store},
    telemetry::Metrics,
};

/// What the edges bring their work to.
pub(super) struct Stack {
    /// Accounts.
    pub(super) users: Arc<Users>,
    /// Who is who.
    pub(super) auth: Arc<Auth>,
    /// What admins did.
    pub(super) audit: Arc<Audit>,
    /// What all of them reach the store through.
    pub(super) store: Guarded,
}

impl Stack {
    /// Puts the domain on top of a store.
    ///
    /// # Errors
    /// When a key cannot be read, which the settings have checked.
    pub(super) fn build(settings: &Settings, store: &Store, clock: &Clock, metrics: &Metrics) -> anyhow::Result<Self> {
        let auth = &settings.auth;
        let keys = Keys::parse(&auth.signing_key, &auth.verification_keys).context("auth.signing_key")?;
        let times = TokenTimes { lifetime: auth.access_token_lifetime, clock_skew: auth.clock_skew };
        let tokens = Tokens::new(keys, auth.issuer.clone(), auth.audience.clone(), times, clock.clone(), metrics);
        let passwords = Passwords::start(auth.password_workers, auth.password_wait, HashingMetrics::new(metrics))
            .context("the threads that hash passwords cannot be started")?;
        let store = Guarded::new(store, settings.store.ping_timeout, metrics);
        let users = Users::new(Arc::clone(&store.users), passwords.clone(), clock.clone(), UserMetrics::new(metrics));
        let audit = Audit::new(Arc::clone(&store.audit), settings.audit.clone(), clock.clone());
        let auth = Auth::new(
            Arc::clone(&store.users),
            Arc::clone(&store.sessions),
            passwords,
            tokens,
            SessionRules {
                refresh_token: auth.refresh_token_lifetime,
                reuse_interval: auth.refresh_reuse_interval,
                recent_sign_in: auth.recent_sign_in,
                max_sessions: auth.max_sessions,
            },
            clock.clone(),
            AuthMetrics::new(metrics),
        );
        Ok(Self { users: Arc::new(users), auth: Arc::new(auth), audit: Arc::new(audit), store })
    }
}
