//! What the domain asks of whoever keeps users.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Cursor, Email, Filter, Once, Receipt, User, UserId, Version};
use crate::domain::{
    audit::Entry,
    auth::{PasswordHash, SessionId},
};

/// Keeps users.
///
/// Every write is all or nothing, and is durable when the method returns `Ok`.
/// An entry that is given to a write goes into the trail together with it: both are kept or neither is.
/// A write that returns [`StoreError::Unavailable`] or [`StoreError::Late`] may or may not have happened: it must not be
/// repeated blindly.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Adds a user, and with it the receipt of the request that asked for it, if that is to happen once.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if its e-mail belongs to another one, ignoring case, or there is a receipt for the key:
    /// then that receipt is to be had.
    async fn insert(
        &self,
        user: &User,
        password: &PasswordHash,
        once: Option<&Once>,
        entry: Option<&Entry>,
    ) -> Result<(), StoreError>;

    /// The receipt of the registration that was sent with the key of that digest, if there was one and it was not
    /// swept. It outlives changes of the user, and the user.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, StoreError>;

    /// Removes at most `limit` receipts that are as old as `until` or older, the oldest first, and says how many.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn sweep_receipts(&self, until: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// The user of that id, if there is one.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn get(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user of that address (ignoring case) with its password, if there is one.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn credentials(&self, email: &Email) -> Result<Option<(User, PasswordHash)>, StoreError>;

    /// The password of that user, if there is one.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn password(&self, id: UserId) -> Result<Option<PasswordHash>, StoreError>;

    /// At most `limit` users that the filter means, those after the cursor: by ascending id, or by ascending key of the
    /// address if the filter has a prefix.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn list(&self, filter: &Filter, after: Option<Cursor>, limit: u32) -> Result<Vec<User>, StoreError>;

    /// Writes e-mail, name, role, version and time of change of `after`, if the stored version is still that of `before`.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if it is not, or the user is gone; [`StoreError::Taken`] as for `insert`;
    /// [`StoreError::LastAdmin`] if no admin would be left, whatever is written at the same time.
    async fn update(&self, before: &User, after: &User, entry: Option<&Entry>) -> Result<(), StoreError>;

    /// Replaces the password, if it is still `old`, and ends all sessions of that user but `keep`.
    /// Neither version nor time of change move: the password is no part of what a client can read.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the password has changed meanwhile, or the user is gone.
    async fn set_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        keep: Option<SessionId>,
        entry: Option<&Entry>,
    ) -> Result<(), StoreError>;

    /// Replaces the stored hash `old` by another one of the same password. Sessions, version and time of change stay.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the hash has changed meanwhile, or the user is gone.
    async fn replace_hash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<(), StoreError>;

    /// Removes the user and its sessions, if the stored version is still `expected` (any, if none is given) and the
    /// stored role is that of `user`.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if one of them is not, or the user is gone; [`StoreError::LastAdmin`] if no admin would be
    /// left, whatever is written at the same time.
    async fn remove(&self, user: &User, expected: Option<Version>, entry: Option<&Entry>) -> Result<(), StoreError>;
}

/// How a store fails.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What must be unique is taken.
    #[error("the e-mail address is taken")]
    Taken,
    /// The change was made to something that is no longer there as it was.
    #[error("the stored version is another one")]
    Stale,
    /// A text has a character that the database cannot store.
    #[error("the database cannot store a character of the input")]
    Unrepresentable(#[source] BoxError),
    /// The change would leave no admin.
    #[error("at least one admin must be left")]
    LastAdmin,
    /// The store is away, full or too slow; later may be better.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// Nobody waited any longer: the request's deadline came first.
    #[error("the store was not waited for any longer")]
    Late(#[source] BoxError),
    /// The store answered with something that it must not: a bug, or a broken database.
    #[error("the store is broken")]
    Broken(#[source] BoxError),
}

/// What lies below a failure, for the log and nobody else.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
