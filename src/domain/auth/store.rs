//! What the domain asks of whoever keeps sessions.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Family, NetworkDigest, PasswordHash, SecretDigest, SessionId, SuccessorSalt};
use crate::domain::users::{StoreError, User, UserId};

/// A signed-in user on one device: what a refresh token prolongs.
#[derive(Debug, Clone)]
pub struct Session {
    /// Named in access tokens.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// What all refresh tokens of this session have in common.
    pub family: Family,
    /// The digest of the one refresh token that is valid now.
    pub secret: SecretDigest,
    /// When the user signed in.
    pub created_at: DateTime<Utc>,
    /// When the newest refresh token ends, and the session with it.
    pub expires_at: DateTime<Utc>,
}

/// The exchange of the current secret of a session for the next one.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The session's family.
    pub family: Family,
    /// The digest of the secret that the client presented.
    pub presented: SecretDigest,
    /// The digest of the next secret.
    pub next: SecretDigest,
    /// The salt from which the next secret was derived.
    pub salt: SuccessorSalt,
    /// When the next secret expires.
    pub expires_at: DateTime<Utc>,
    /// The earliest rotation that is repeated for a client that presents the previous secret; none if no rotation is.
    pub repeat_since: Option<DateTime<Utc>>,
}

/// The result of an [`Exchange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The presented secret was the current one; the next one has taken its place.
    Rotated(SessionId, UserId),
    /// The presented secret is the one before the current one, and its rotation is recent. Nothing was written.
    Repeated {
        /// The session.
        session: SessionId,
        /// Its user.
        user: UserId,
        /// The digest of the current secret.
        current: SecretDigest,
        /// The salt from which the current secret was derived.
        salt: SuccessorSalt,
    },
    /// It was an earlier one of a living session: somebody has a copy. The session is ended.
    Reused(SessionId, UserId),
    /// No living session knows it.
    Unknown,
}

/// Keeps sessions and known networks; durable and all or nothing, as [`crate::domain::users::UserStore`].
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Adds a session, and ends the oldest ones of its user beyond `limit`, if the password of its user is still the one that was shown: otherwise a change of password
    /// could end every session but the one that is just being started with the old one.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the password has changed meanwhile, or the user is gone; those of the store itself.
    async fn start(&self, session: &Session, shown: &PasswordHash, limit: u32) -> Result<(), StoreError>;

    /// The user of a session that has not ended at `now`, and when the session began.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn recognise(&self, id: SessionId, now: DateTime<Utc>) -> Result<Option<(User, DateTime<Utc>)>, StoreError>;

    /// Replaces the secret of a living session, if the presented one is the current one.
    /// Of several concurrent calls with the same secret, exactly one gets [`Rotation::Rotated`]; the others get
    /// [`Rotation::Repeated`], or [`Rotation::Reused`] if the exchange repeats no rotation.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn rotate(&self, exchange: &Exchange, now: DateTime<Utc>) -> Result<Rotation, StoreError>;

    /// Ends a session; one that has ended already is no error.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn end(&self, id: SessionId) -> Result<(), StoreError>;

    /// Whether an account was signed in to from that network.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn is_known_network(&self, network: &NetworkDigest) -> Result<bool, StoreError>;

    /// Remembers that an account was signed in to from that network, and forgets its oldest networks beyond `limit`.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the user is gone; those of the store itself.
    async fn remember_network(
        &self,
        user: UserId,
        network: &NetworkDigest,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<(), StoreError>;

    /// Returns the latest expiry of all sessions; none where there is no session.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn newest_expiry(&self) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Removes at most `limit` sessions that have expired at `now`, and says how many.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn sweep(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
}
