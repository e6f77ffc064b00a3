//! Access tokens (JWT, RFC 7519; checked as RFC 8725 asks).
//!
//! A token says who and which session, not what they may do: roles are read from the store with each request,
//! so a role that was taken away is gone at once.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode, errors::ErrorKind};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Keys, SessionId};
use crate::domain::{Clock, users::UserId};

/// Issues and checks access tokens.
pub struct Tokens {
    keys: Keys,
    validation: Validation,
    issuer: String,
    audience: String,
    lifetime: Duration,
    clock: Clock,
}

/// Why an access token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT of ours: too long, not decodable, a claim is missing or has the wrong type.
    #[error("the access token cannot be read")]
    Malformed,
    /// It is not signed with Ed25519.
    #[error("the access token has an algorithm that is not accepted")]
    Algorithm,
    /// Its `kid` is missing or names no key of ours.
    #[error("the access token names no key that is accepted")]
    UnknownKey,
    /// The signature is not that key's.
    #[error("the access token's signature is wrong")]
    Signature,
    /// Another issuer, or another audience.
    #[error("the access token was made by or for somebody else")]
    WrongParty,
    /// Its time is over.
    #[error("the access token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the access token is not valid yet")]
    NotYet,
}

impl TokenError {
    /// Every reason, so that each one's counter can start at zero.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::WrongParty,
        Self::Expired,
        Self::NotYet,
    ];

    /// The stable word for it, in the body and in the label.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_unknown_key",
            Self::Signature => "token_signature",
            Self::WrongParty => "token_wrong_party",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet",
        }
    }
}

/// RFC 7519's registered claims, and `sid` of OpenID Connect.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Tokens {
    /// A longer token is refused unread; ours have about 420 octets.
    pub const MAX_OCTETS: usize = 2048;

    /// Clocks of one cluster differ; a token is accepted this much before its `nbf`, never after its `exp`.
    const LEEWAY_SECONDS: i64 = 5;

    /// Puts keys, names and times together.
    #[must_use]
    pub fn new(keys: Keys, issuer: String, audience: String, lifetime: Duration, clock: Clock) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        // The times are checked below, against the domain's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { keys, validation, issuer, audience, lifetime, clock }
    }

    /// How long an issued token is valid.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The keys that others check our tokens with.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A token for that user in that session.
    ///
    /// # Errors
    /// When the crypto provider refuses to sign, which it has no reason to.
    pub fn issue(&self, user: UserId, session: SessionId) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let now = self.clock.now().timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user.0,
            sid: session.0,
            iat: now,
            nbf: now,
            exp: now.saturating_add(i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)),
        };
        let (key, id) = self.keys.signing();
        let header = Header { kid: Some(id.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, key).map(SecretString::from)
    }

    /// Who the token says is calling, if it is ours and its time is now.
    ///
    /// # Errors
    /// As [`TokenError`] says.
    pub fn check(&self, token: &str) -> Result<(UserId, SessionId), TokenError> {
        if token.len() > Self::MAX_OCTETS {
            return Err(TokenError::Malformed);
        }
        let header = decode_header(token).map_err(|error| unreadable(token, error))?;
        if header.alg != Algorithm::EdDSA {
            return Err(TokenError::Algorithm);
        }
        let key = header.kid.and_then(|id| self.keys.verifying(&id)).ok_or(TokenError::UnknownKey)?;
        let claims = decode::<Claims>(token, key, &self.validation).map_err(reason)?.claims;
        let now = self.clock.now().timestamp();
        if claims.exp <= now {
            return Err(TokenError::Expired);
        }
        if claims.nbf > now.saturating_add(Self::LEEWAY_SECONDS) {
            return Err(TokenError::NotYet);
        }
        Ok((UserId(claims.sub), SessionId(claims.sid)))
    }
}

/// Why a header cannot be read. The library takes one whose algorithm it does not know, such as `none`, for none at all.
fn unreadable(token: &str, error: jsonwebtoken::errors::Error) -> TokenError {
    #[derive(Deserialize)]
    struct Named {
        alg: String,
    }

    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    match header.and_then(|header| serde_json::from_slice::<Named>(&header).ok()) {
        Some(Named { alg }) if alg != "EdDSA" => TokenError::Algorithm,
        _ => reason(error),
    }
}

fn reason(error: jsonwebtoken::errors::Error) -> TokenError {
    match error.into_kind() {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm => {
            TokenError::Algorithm
        }
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => TokenError::WrongParty,
        _ => TokenError::Malformed,
    }
}
