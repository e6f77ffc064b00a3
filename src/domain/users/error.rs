//! How an operation on users fails, in the domain's words.

use super::StoreError;
use crate::domain::{Kind, auth};

/// Why an operation on users did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The e-mail address belongs to another account.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The idempotency key was sent before, with something else.
    #[error("the idempotency key was sent before with another body")]
    KeyReused,
    /// A character of the input is not in the encoding of the database, which is not the one that the service needs.
    #[error("a character of the input cannot be stored")]
    Unrepresentable,
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
    /// The user has changed since the caller looked.
    #[error("the user has changed meanwhile")]
    Stale,
    /// This is nothing that the caller may do.
    #[error("the caller may not do this")]
    Forbidden,
    /// Nobody gives itself a role.
    #[error("nobody gives itself a role")]
    OwnRole,
    /// The caller's session began too long ago for this act.
    #[error("the session began too long ago for this; sign in again and repeat the request with the new token")]
    SignInTooOld,
    /// The change would leave no admin.
    #[error("at least one admin must be left; make another account an admin first")]
    LastAdmin,
    /// The old password is wrong.
    #[error("the old password is wrong")]
    PasswordWrong,
    /// The password could not be hashed or checked.
    #[error(transparent)]
    Hashing(#[from] auth::HashingError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl Error {
    /// How it ended, for any edge.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::EmailTaken | Self::LastAdmin => Kind::Conflict,
            Self::KeyReused | Self::Unrepresentable => Kind::Invalid,
            Self::NotFound => Kind::NotFound,
            Self::Stale => Kind::Stale,
            Self::Forbidden | Self::OwnRole | Self::PasswordWrong => Kind::Forbidden,
            Self::SignInTooOld => Kind::Unauthenticated,
            Self::Hashing(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    /// The stable word for it: in the body, in the label, in the runbook.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EmailTaken => "email_taken",
            Self::KeyReused => "idempotency_key_reused",
            Self::Unrepresentable => "unrepresentable",
            Self::NotFound => "user_not_found",
            Self::Stale => "stale",
            Self::Forbidden => "forbidden",
            Self::OwnRole => "own_role",
            Self::LastAdmin => "last_admin",
            Self::SignInTooOld => "recent_sign_in_required",
            Self::PasswordWrong => "password_wrong",
            Self::Hashing(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken => Self::EmailTaken,
            StoreError::Stale => Self::Stale,
            StoreError::Unrepresentable(_) => Self::Unrepresentable,
            StoreError::LastAdmin => Self::LastAdmin,
            error => Self::Store(error),
        }
    }
}

impl StoreError {
    /// How it ended, for any edge.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Taken | Self::LastAdmin => Kind::Conflict,
            Self::Stale => Kind::Stale,
            Self::Unrepresentable(_) => Kind::Invalid,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Late(_) => Kind::Timeout,
            Self::Broken(_) => Kind::Internal,
        }
    }

    /// The stable word for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::LastAdmin => "last_admin",
            Self::Stale => "stale",
            Self::Unrepresentable(_) => "unrepresentable",
            Self::Unavailable(_) => "store_unavailable",
            Self::Late(_) => "timeout",
            Self::Broken(_) => "internal",
        }
    }
}
