//! What the domain asks of whoever keeps sessions.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Family, PasswordHash, SecretDigest, SessionId};
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

/// What became of a refresh token that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It was the current one; the new one has taken its place.
    Rotated(SessionId, UserId),
    /// It was an earlier one of a living session: somebody has a copy. The session is ended.
    Reused(SessionId, UserId),
    /// No living session knows it.
    Unknown,
}

/// Keeps sessions; durable and all or nothing, as [`crate::domain::users::UserStore`].
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Adds a session, if the password of its user is still the one that was shown: otherwise a change of password
    /// could end every session but the one that is just being started with the old one.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the password has changed meanwhile, or the user is gone; those of the store itself.
    async fn start(&self, session: &Session, shown: &PasswordHash) -> Result<(), StoreError>;

    /// The user of a session that has not ended at `now`.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn recognise(&self, id: SessionId, now: DateTime<Utc>) -> Result<Option<User>, StoreError>;

    /// Replaces the secret of a living session, if the one shown is the current one.
    /// Of several that show the same secret at once, exactly one gets [`Rotation::Rotated`].
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn rotate(
        &self,
        family: Family,
        shown: &SecretDigest,
        next: &SecretDigest,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Rotation, StoreError>;

    /// Ends a session; one that has ended already is no error.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn end(&self, id: SessionId) -> Result<(), StoreError>;

    /// Removes at most `limit` sessions that have expired at `now`, and says how many.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn sweep(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
}
