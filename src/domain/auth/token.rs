//! Access tokens (JWT, RFC 7519 and RFC 9068; checked as RFC 8725 asks).
//!
//! A token says who and which session, not what they may do: roles are read from the store with each request,
//! so a role that was taken away is gone at once.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Header, crypto, encode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    Keys, SessionId, SigningAlgorithm,
    token_cache::{MAX_ENTRIES, TokenCache, TokenDigest, VerifiedToken},
};
use crate::{
    domain::{Clock, users::UserId},
    telemetry::Metrics,
};

/// Issues and checks access tokens.
pub struct Tokens {
    keys: Keys,
    issuer: String,
    audience: String,
    times: TokenTimes,
    clock: Clock,
    cache: TokenCache,
}

/// The times of access tokens.
#[derive(Debug, Clone, Copy)]
pub struct TokenTimes {
    /// How long an issued token is valid.
    pub lifetime: Duration,
    /// How much earlier than its `nbf` and `iat` a token is accepted, because clocks of one cluster differ.
    pub clock_skew: Duration,
}

/// Why an access token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT of ours: too long, not decodable, a claim is missing, there twice, or has the wrong type, or its
    /// header says more than ours do.
    #[error("the access token cannot be read")]
    Malformed,
    /// Its `alg` is not accepted, or is not that of the key it names.
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

/// All that a header of ours says. What else could stand there asks to be obeyed: another key (`jwk`, `jku`, `x5u`),
/// another way to read the rest (`b64`, `zip`, `cty`), rules that must be understood (`crit`). So whoever adds a member
/// lets every instance know of it before the first issues it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    alg: String,
    kid: Option<String>,
    typ: String,
}

/// RFC 7519's registered claims, and `sid` of OpenID Connect. Further ones are not looked at, so that there can be some
/// one day; one of these that is there twice is refused, since not everybody would read the same of the two.
///
/// `jti` and `client_id` are required by RFC 9068. This service registers no clients: all tokens belong to the client
/// that the audience names. Tokens of the type `JWT`, which versions before RFC 9068 issued, have neither.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

impl Tokens {
    /// A longer token is refused unread; ours have about 520 bytes.
    pub const MAX_OCTETS: usize = 2048;

    const TYPE: &str = "at+jwt";
    /// The type of tokens from before RFC 9068. They stay valid until they expire, and all were signed with Ed25519.
    const FORMER_TYPE: &str = "JWT";

    /// Puts keys, names and times together.
    #[must_use]
    pub fn new(
        keys: Keys,
        issuer: String,
        audience: String,
        times: TokenTimes,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        Self { keys, issuer, audience, times, clock, cache: TokenCache::new(MAX_ENTRIES, metrics) }
    }

    /// How long an issued token is valid.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.times.lifetime
    }

    /// The keys that others check our tokens with.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// `iss` of all tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
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
            sub: user.0.to_string(),
            sid: session.0.to_string(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(i64::try_from(self.times.lifetime.as_secs()).unwrap_or(i64::MAX)),
            jti: Some(Uuid::new_v4().to_string()),
            client_id: Some(self.audience.clone()),
        };
        let signing = &self.keys.signing;
        let header = Header {
            typ: Some(Self::TYPE.to_owned()),
            kid: Some(signing.id.clone()),
            ..Header::new(signing.algorithm.jwa())
        };
        encode(&header, &claims, &signing.key).map(SecretString::from)
    }

    /// Returns the user and the session that the token names, if it is ours and its time is now.
    ///
    /// A token that was accepted before is not verified again. Its times are checked with each call.
    ///
    /// # Errors
    /// As [`TokenError`] says.
    pub fn check(&self, token: &str) -> Result<(UserId, SessionId), TokenError> {
        if token.len() > Self::MAX_OCTETS {
            return Err(TokenError::Malformed);
        }
        let digest = TokenDigest::of(token);
        if let Some(verified) = self.cache.get(&digest) {
            return self.accept(&verified);
        }
        let verified = self.verify(token)?;
        let accepted = self.accept(&verified)?;
        self.cache.insert(digest, verified);
        Ok(accepted)
    }

    /// Checks everything but the times.
    ///
    /// Nothing in a token is believed before its signature is checked but which of our keys made it. That key decides how
    /// the token is checked.
    pub(super) fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (head, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let head: Head = object(head)?;
        let algorithm = SigningAlgorithm::parse(&head.alg).ok_or(TokenError::Algorithm)?;
        let verifying = head.kid.and_then(|id| self.keys.verifying(&id)).ok_or(TokenError::UnknownKey)?;
        if verifying.algorithm != algorithm {
            return Err(TokenError::Algorithm);
        }
        let is_former = head.typ == Self::FORMER_TYPE && algorithm == SigningAlgorithm::EdDsa;
        if head.typ != Self::TYPE && !is_former {
            return Err(TokenError::Malformed);
        }
        match crypto::verify(signature, message.as_bytes(), &verifying.key, verifying.algorithm.jwa()) {
            Ok(true) => {}
            Ok(false) => return Err(TokenError::Signature),
            // It is no base64url, or not the only way to write these bytes in it.
            Err(_) => return Err(TokenError::Malformed),
        }
        let claims: Claims = object(claims)?;
        if !is_former {
            id(claims.jti.as_deref().ok_or(TokenError::Malformed)?)?;
            if claims.client_id.as_ref().ok_or(TokenError::Malformed)? != &self.audience {
                return Err(TokenError::WrongParty);
            }
        }
        let (user, session) = (id(&claims.sub)?, id(&claims.sid)?);
        if claims.iss != self.issuer || claims.aud != self.audience {
            return Err(TokenError::WrongParty);
        }
        Ok(VerifiedToken {
            user: UserId(user),
            session: SessionId(session),
            not_before: claims.nbf.max(claims.iat),
            expires_at: claims.exp,
        })
    }

    /// Checks the times of a token.
    fn accept(&self, token: &VerifiedToken) -> Result<(UserId, SessionId), TokenError> {
        let now = self.clock.now().timestamp();
        if token.expires_at <= now {
            return Err(TokenError::Expired);
        }
        // Never after its `exp`: the issuer has chosen how long a token is good.
        let skew = i64::try_from(self.times.clock_skew.as_secs()).unwrap_or(i64::MAX);
        if token.not_before > now.saturating_add(skew) {
            return Err(TokenError::NotYet);
        }
        Ok((token.user, token.session))
    }
}

/// One part of a token. An object and nothing else: a list of the right values would do for serde.
fn object<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    if !json.starts_with(b"{") {
        return Err(TokenError::Malformed);
    }
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
}

/// An id as we write it: it has other spellings.
fn id(text: &str) -> Result<Uuid, TokenError> {
    let id = Uuid::try_parse(text).map_err(|_| TokenError::Malformed)?;
    let written = &*id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
    if written { Ok(id) } else { Err(TokenError::Malformed) }
}
