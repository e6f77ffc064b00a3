//! An account.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Email, Name};
use crate::domain::Fault;

/// Names an account for ever; time-ordered (UUID version 7), so that its order is the order of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub Uuid);

impl UserId {
    /// A fresh one, later than all before it in this process.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

/// What an account may do beyond its own affairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads, changes and removes only itself.
    User,
    /// Reads, changes and removes everyone.
    Admin,
}

impl Role {
    /// Every role, in order of power.
    pub const ALL: [Self; 2] = [Self::User, Self::Admin];

    /// The word in the API and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// Reads the word back.
    ///
    /// # Errors
    /// `unknown_role`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(Fault::new("unknown_role", "must be one of: user, admin"))
    }
}

/// Counts the changes to one account, from 1; what an `ETag` is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub i64);

impl Version {
    /// A new account's.
    pub const FIRST: Self = Self(1);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// An account, without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Never changes.
    pub id: UserId,
    /// Unique ignoring case.
    pub email: Email,
    /// Not unique.
    pub name: Name,
    /// Given by an admin, never by oneself.
    pub role: Role,
    /// Goes up by one with each change.
    pub version: Version,
    /// When it registered.
    pub created_at: DateTime<Utc>,
    /// When it last changed; `created_at` at first.
    pub updated_at: DateTime<Utc>,
}
