//! Rows, the same in both engines, and what they mean. A row that means nothing is a broken database, never a panic.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::{
    Fault,
    auth::{PasswordHash, SessionId},
    users::{Email, Name, Role, StoreError, User, UserId, Version},
};

/// One row of `users`, without its password.
#[derive(FromRow)]
pub(super) struct UserRow {
    id: Uuid,
    email: String,
    name: String,
    role: String,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A column holds what the domain would never have written.
#[derive(Debug, thiserror::Error)]
#[error("column {column} of users holds nothing that this service writes: {code}")]
struct Unreadable {
    column: &'static str,
    code: &'static str,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let broken = |column| move |fault: Fault| StoreError::Broken(Box::new(Unreadable { column, code: fault.code }));
        Ok(Self {
            id: UserId(row.id),
            email: Email::parse(&row.email).map_err(broken("email"))?,
            name: Name::parse(&row.name).map_err(broken("name"))?,
            role: Role::parse(&row.role).map_err(broken("role"))?,
            version: Version(row.version),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A row of `users` with its password.
#[derive(FromRow)]
pub(super) struct CredentialsRow {
    #[sqlx(flatten)]
    user: UserRow,
    #[sqlx(flatten)]
    password: PasswordRow,
}

impl TryFrom<CredentialsRow> for (User, PasswordHash) {
    type Error = StoreError;

    fn try_from(row: CredentialsRow) -> Result<Self, StoreError> {
        Ok((row.user.try_into()?, row.password.into()))
    }
}

/// The password of one row of `users`.
#[derive(FromRow)]
pub(super) struct PasswordRow {
    password_hash: String,
}

impl From<PasswordRow> for PasswordHash {
    fn from(row: PasswordRow) -> Self {
        Self::from_stored(row.password_hash)
    }
}

/// Which session it was, and whose.
#[derive(FromRow)]
pub(super) struct SessionRow {
    id: Uuid,
    user_id: Uuid,
}

impl SessionRow {
    pub(super) const fn ids(&self) -> (SessionId, UserId) {
        (SessionId(self.id), UserId(self.user_id))
    }
}

/// What a write says that met nothing as it expected it.
pub(super) const fn one(rows: u64) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::Stale) } else { Ok(()) }
}
