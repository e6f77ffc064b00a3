//! Rows, the same in both engines, and what they mean. A row that means nothing is a broken database, never a panic.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::{
    Fault,
    audit::{Action, Actor, Entry, EntryId},
    auth::{PasswordHash, Rotation, SecretDigest, SessionId, SuccessorSalt},
    users::{Email, Name, Receipt, Role, StoreError, User, UserId, Version},
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
#[error("column {column} of {table} holds nothing that this service writes: {code}")]
struct Unreadable {
    table: &'static str,
    column: &'static str,
    code: &'static str,
}

fn broken(table: &'static str, column: &'static str) -> impl FnOnce(Fault) -> StoreError {
    move |fault| StoreError::Broken(Box::new(Unreadable { table, column, code: fault.code }))
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: UserId(row.id),
            email: Email::parse_kept(&row.email).map_err(broken("users", "email"))?,
            name: Name::parse_kept(&row.name).map_err(broken("users", "name"))?,
            role: Role::parse(&row.role).map_err(broken("users", "role"))?,
            version: Version(row.version),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A row of `users` with the beginning of one of its sessions.
#[derive(FromRow)]
pub(super) struct RecognisedRow {
    #[sqlx(flatten)]
    user: UserRow,
    signed_in_at: DateTime<Utc>,
}

impl TryFrom<RecognisedRow> for (User, DateTime<Utc>) {
    type Error = StoreError;

    fn try_from(row: RecognisedRow) -> Result<Self, StoreError> {
        Ok((row.user.try_into()?, row.signed_in_at))
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

/// The id of one user.
#[derive(FromRow)]
pub(super) struct IdRow {
    pub(super) id: Uuid,
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

/// A session with the current secret and the salt that it was derived from.
#[derive(FromRow)]
pub(super) struct RotatedSessionRow {
    #[sqlx(flatten)]
    session: SessionRow,
    secret: Vec<u8>,
    successor_salt: Vec<u8>,
}

impl TryFrom<RotatedSessionRow> for Rotation {
    type Error = StoreError;

    fn try_from(row: RotatedSessionRow) -> Result<Self, StoreError> {
        let (session, user) = row.session.ids();
        let current = SecretDigest(digest(row.secret, "sessions", "secret")?);
        let salt = SuccessorSalt(digest(row.successor_salt, "sessions", "successor_salt")?);
        Ok(Self::Repeated { session, user, current, salt })
    }
}

fn digest(bytes: Vec<u8>, table: &'static str, column: &'static str) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| broken(table, column)(Fault::new("length", "must be 32 octets")))
}

/// One row of `idempotency_keys`, without its key.
#[derive(FromRow)]
pub(super) struct ReceiptRow {
    request: Vec<u8>,
    user_id: Uuid,
    password_hash: String,
    registered_at: DateTime<Utc>,
}

impl TryFrom<ReceiptRow> for Receipt {
    type Error = StoreError;

    fn try_from(row: ReceiptRow) -> Result<Self, StoreError> {
        Ok(Self {
            request: digest(row.request, "idempotency_keys", "request")?,
            user: UserId(row.user_id),
            password: PasswordHash::from_stored(row.password_hash),
            registered_at: row.registered_at,
        })
    }
}

/// One row of `audit`.
#[derive(FromRow)]
pub(super) struct EntryRow {
    id: Uuid,
    at: DateTime<Utc>,
    actor: Option<Uuid>,
    action: String,
    subject: Uuid,
    fields: String,
    role: Option<String>,
    request_id: Option<String>,
}

impl TryFrom<EntryRow> for Entry {
    type Error = StoreError;

    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        let role = row.role.map(|role| Role::parse(&role)).transpose();
        Ok(Self {
            id: EntryId(row.id),
            at: row.at,
            actor: row.actor.map_or(Actor::CommandLine, |id| Actor::Admin(UserId(id))),
            action: Action::parse(&row.action).map_err(broken("audit", "action"))?,
            subject: UserId(row.subject),
            fields: Self::parse_fields(&row.fields).map_err(broken("audit", "fields"))?,
            role: role.map_err(broken("audit", "role"))?,
            request_id: row.request_id,
        })
    }
}

/// What a write says that met nothing as it expected it.
pub(super) const fn one(rows: u64) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::Stale) } else { Ok(()) }
}
