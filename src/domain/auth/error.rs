//! How signing in and being recognised fail, in the domain's words.

use super::{HashingError, TokenError};
use crate::domain::{Kind, users::StoreError};

/// Why somebody was not signed in, or not recognised.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No account has this e-mail address and this password; which of the two is wrong is nobody's business.
    #[error("no account has this e-mail address and password")]
    CredentialsWrong,
    /// The access token proves nothing.
    #[error("the access token is not valid")]
    Token(#[from] TokenError),
    /// The session of the access token has ended, or its user is gone.
    #[error("the session has ended")]
    SessionEnded,
    /// The refresh token is unknown, expired, or was used before.
    #[error("the refresh token is not valid")]
    RefreshInvalid,
    /// The password could not be checked.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// The operating system gave no random numbers for a token.
    #[error("there is no randomness for a token")]
    NoRandomness,
    /// An access token could not be signed.
    #[error("an access token could not be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl Error {
    /// How it ended, for any edge.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::CredentialsWrong | Self::Token(_) | Self::SessionEnded | Self::RefreshInvalid => {
                Kind::Unauthenticated
            }
            Self::NoRandomness | Self::Signing(_) => Kind::Internal,
            Self::Hashing(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    /// The stable word for it: in the body, in the label, in the runbook.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CredentialsWrong => "credentials_wrong",
            Self::Token(error) => error.code(),
            Self::SessionEnded => "session_ended",
            Self::RefreshInvalid => "refresh_token_invalid",
            Self::NoRandomness | Self::Signing(_) => "internal",
            Self::Hashing(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}
