//! Who is who: passwords, access tokens, sessions.

mod caller;
mod config;
mod error;
mod hashing;
mod keys;
mod metrics;
mod network;
mod password;
mod session;
mod store;
mod token;
mod token_cache;
mod verify;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

pub use caller::Caller;
pub use config::Config;
pub use error::Error;
pub use keys::{KeyError, Keys, SigningAlgorithm};
pub use metrics::{AuthMetrics, HashingMetrics};
pub use network::NetworkDigest;
pub use password::{HashingError, Password, PasswordHash, Passwords};
pub use session::{Family, RefreshToken, SecretDigest, SessionId, SuccessorSalt};
pub use store::{Exchange, Rotation, Session, SessionStore};
pub use token::{TokenError, TokenTimes, Tokens};
pub use verify::Verdict;

use super::{
    Clock,
    users::{Email, StoreError, UserId, UserStore},
};
use crate::telemetry::Chain;

/// Signs in and out, and recognises callers.
pub struct Auth {
    users: Arc<dyn UserStore>,
    sessions: Arc<dyn SessionStore>,
    passwords: Passwords,
    tokens: Tokens,
    rules: SessionRules,
    clock: Clock,
    metrics: AuthMetrics,
}

/// How long sessions and what belongs to them last.
#[derive(Debug, Clone, Copy)]
pub struct SessionRules {
    /// How long a refresh token is valid.
    pub refresh_token: Duration,
    /// How long after its exchange a refresh token is exchanged again; zero for never.
    pub reuse_interval: Duration,
    /// How old a sign-in may be to count as recent; zero for any age.
    pub recent_sign_in: Duration,
    /// How many sessions one account has at most.
    pub max_sessions: u32,
}

/// Writes a log line for a stored hash that the service cannot verify. Whether the account exists is not shown to clients.
pub(in crate::domain) fn log_unverifiable_hash(user: UserId) {
    tracing::warn!(
        target: "glasshouse::auth",
        { user.id = %user.0 },
        "stored password hash cannot be verified, so every password is refused: users.password_hash must be an argon2 hash"
    );
}

/// What a client gets when it signs in or refreshes.
#[derive(Debug)]
pub struct Grant {
    /// Shown with each request.
    pub access_token: SecretString,
    /// How long the access token is valid.
    pub expires_in: Duration,
    /// Exchanged once for the next grant.
    pub refresh_token: SecretString,
    /// The account that it is for.
    pub user: UserId,
}

impl Auth {
    /// At most so many expired sessions are removed at once, so that no sweep holds a lock for long.
    const SWEEP_LIMIT: u32 = 1000;

    /// How many networks of an account are remembered: those of the newest sign-ins.
    const KNOWN_NETWORKS: u32 = 16;

    /// Puts the parts together.
    #[must_use]
    pub fn new(
        users: Arc<dyn UserStore>,
        sessions: Arc<dyn SessionStore>,
        passwords: Passwords,
        tokens: Tokens,
        rules: SessionRules,
        clock: Clock,
        metrics: AuthMetrics,
    ) -> Self {
        Self { users, sessions, passwords, tokens, rules, clock, metrics }
    }

    /// The public keys, for those who check our tokens themselves.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        self.tokens.keys()
    }

    /// `iss` of access tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.tokens.issuer()
    }

    /// Begins a session.
    ///
    /// An address that cannot be one (`None`) costs as much as one that nobody has.
    ///
    /// # Errors
    /// [`Error::CredentialsWrong`], [`Error::Hashing`], [`Error::Store`].
    pub async fn sign_in(&self, email: Option<&Email>, password: &SecretString) -> Result<Grant, Error> {
        let mut result = self.try_sign_in(email, password).await;
        // The account has changed while the password was being checked: removed, another password, or another hash of
        // the same one. The second look decides.
        if matches!(result, Err(Error::Store(StoreError::Stale))) {
            result = self.try_sign_in(email, password).await;
        }
        let result = match result {
            Err(Error::Store(StoreError::Stale)) => Err(Error::CredentialsWrong),
            result => result,
        };
        self.metrics.signed_in(match &result {
            Ok(_) => "success",
            Err(Error::CredentialsWrong) => "credentials_wrong",
            Err(_) => "failed",
        });
        result
    }

    /// Whether the account was signed in to from that network before, on any instance. A store that does not answer
    /// knows no network.
    pub async fn is_known_network(&self, network: &NetworkDigest) -> bool {
        self.sessions.is_known_network(network).await.unwrap_or(false)
    }

    /// Remembers the network of a sign-in for all instances. The sign-in does not depend on it.
    pub async fn remember_network(&self, user: UserId, network: &NetworkDigest) {
        let remembered = self.sessions.remember_network(user, network, self.clock.now(), Self::KNOWN_NETWORKS).await;
        if let Err(error) = remembered {
            tracing::debug!(
                target: "glasshouse::auth",
                { error.message = %Chain(&error) },
                "network of a sign-in was not remembered"
            );
        }
    }

    /// Counts an attempt that an edge did not let through because there were too many.
    pub fn limited_sign_in(&self) {
        self.metrics.signed_in("limited");
    }

    async fn try_sign_in(&self, email: Option<&Email>, password: &SecretString) -> Result<Grant, Error> {
        let credentials = match email {
            Some(email) => self.users.credentials(email).await?,
            None => None,
        };
        let verdict = self.passwords.verify(password, credentials.as_ref().map(|(_, hash)| hash)).await?;
        if let Some((user, _)) = credentials.as_ref().filter(|_| verdict == Verdict::Unverifiable) {
            log_unverifiable_hash(user.id);
        }
        let (user, mut hash) = credentials.filter(|_| verdict.is_right()).ok_or(Error::CredentialsWrong)?;
        if verdict == Verdict::RightButOutdated {
            hash = self.replace_hash(user.id, hash, password).await;
        }

        let refresh_token = RefreshToken::generate(Family(Uuid::new_v4())).map_err(|_| Error::NoRandomness)?;
        let now = self.clock.now();
        let session = Session {
            id: SessionId(Uuid::now_v7()),
            user: user.id,
            family: refresh_token.family,
            secret: refresh_token.digest(),
            created_at: now,
            expires_at: now + self.rules.refresh_token,
        };
        self.sessions.start(&session, &hash, self.rules.max_sessions).await?;
        self.grant("sign_in", user.id, session.id, &refresh_token)
    }

    /// Replaces the stored hash of a password that was just verified by one that is made as new ones are, and returns the
    /// hash that is stored then. Signing in does not depend on it: the next sign-in tries again.
    async fn replace_hash(&self, user: UserId, old: PasswordHash, password: &SecretString) -> PasswordHash {
        let Ok(new) = self.passwords.rehash(password).await else { return old };
        match self.users.replace_hash(user, &old, &new).await {
            Ok(()) => new,
            Err(_) => old,
        }
    }

    /// Exchanges a refresh token for a new grant.
    ///
    /// A client that loses the answer, or that refreshes from two tabs at once, presents the same token again. Within the
    /// reuse interval the previous token yields the same next token. Any other token that was exchanged before ends the
    /// session: a copy of it is in use (RFC 9700, section 4.14.2).
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`], [`Error::Store`].
    pub async fn refresh(&self, presented: &RefreshToken) -> Result<Grant, Error> {
        let salt = SuccessorSalt::generate().map_err(|_| Error::NoRandomness)?;
        let next = presented.successor(&salt);
        let now = self.clock.now();
        let SessionRules { refresh_token, reuse_interval, .. } = self.rules;
        let exchange = Exchange {
            family: presented.family,
            presented: presented.digest(),
            next: next.digest(),
            salt,
            expires_at: now + refresh_token,
            repeat_since: (!reuse_interval.is_zero()).then(|| now - reuse_interval),
        };
        match self.sessions.rotate(&exchange, now).await? {
            Rotation::Rotated(session, user) => self.grant("refresh", user, session, &next),
            Rotation::Repeated { session, user, current, salt } => {
                let next = presented.successor(&salt);
                if next.digest() == current {
                    return self.grant("refresh_retry", user, session, &next);
                }
                // Written by a version of the service that keeps no salt: the presented token is older than it looks.
                self.sessions.end(session).await?;
                Err(self.reused(session, user))
            }
            Rotation::Reused(session, user) => Err(self.reused(session, user)),
            Rotation::Unknown => {
                self.metrics.rejected("refresh_token_invalid");
                Err(Error::RefreshInvalid)
            }
        }
    }

    fn reused(&self, session: SessionId, user: UserId) -> Error {
        self.metrics.rejected("refresh_token_reused");
        tracing::warn!(
            target: "glasshouse::auth",
            { user.id = %user.0, session.id = %session.0 },
            "a refresh token was used twice: the session is ended"
        );
        Error::RefreshInvalid
    }

    fn grant(&self, grant: &str, user: UserId, session: SessionId, refresh: &RefreshToken) -> Result<Grant, Error> {
        let access_token = self.tokens.issue(user, session).map_err(Error::Signing)?;
        self.metrics.issued(grant);
        Ok(Grant { access_token, expires_in: self.tokens.lifetime(), refresh_token: refresh.text(), user })
    }

    /// Who the access token says is calling, if its session lives and its user is still there.
    ///
    /// # Errors
    /// [`Error::Token`], [`Error::SessionEnded`], [`Error::Store`].
    pub async fn recognise(&self, access_token: &str) -> Result<Caller, Error> {
        let (id, session) = self.tokens.check(access_token).inspect_err(|error| self.metrics.rejected(error.code()))?;
        let now = self.clock.now();
        match self.sessions.recognise(session, now).await? {
            Some((user, signed_in_at)) if user.id == id => {
                let recent = self.rules.recent_sign_in;
                let is_recently_signed_in = recent.is_zero() || signed_in_at + recent > now;
                Ok(Caller { user, session, is_recently_signed_in })
            }
            _ => {
                self.metrics.rejected("session_ended");
                Err(Error::SessionEnded)
            }
        }
    }

    /// Ends the caller's session: its access and refresh tokens stop working at once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), Error> {
        Ok(self.sessions.end(caller.session).await?)
    }

    /// Returns the latest expiry of all sessions; none where there is no session.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn newest_expiry(&self) -> Result<Option<DateTime<Utc>>, Error> {
        Ok(self.sessions.newest_expiry().await?)
    }

    /// Removes sessions that have expired, and says how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sweep(&self) -> Result<u64, Error> {
        let mut swept = 0;
        loop {
            let removed = self.sessions.sweep(self.clock.now(), Self::SWEEP_LIMIT).await?;
            self.metrics.swept(removed);
            swept += removed;
            if removed < u64::from(Self::SWEEP_LIMIT) {
                return Ok(swept);
            }
        }
    }
}
