//! Sessions and the refresh tokens that prolong them.
//!
//! A refresh token is a family (random, the same for all tokens of one session) and a secret (another one each time).
//! The store keeps the family and the SHA-256 of the newest secret. A token of a living family with another secret is an
//! old one: it was copied, and the session is ended. Because only a holder of one of its tokens knows a
//! family, a guess ends no session.
//!
//! The first secret is random; each following one is the HMAC of a random salt under the secret before it. The store
//! keeps the newest salt. So a client that lost the answer and sends the previous token again gets the same next token,
//! although the store holds no token: from the salt alone no secret follows, and neither does one from a copied token.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{
    SecretString,
    zeroize::{Zeroize, Zeroizing},
};
use uuid::Uuid;

use crate::domain::Fault;

/// Names a session, in access tokens too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub Uuid);

/// What all refresh tokens of one session share: 122 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Family(pub Uuid);

/// The SHA-256 of a refresh token's secret. The secret has 256 random bits, so no salt and no slow hash is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretDigest(pub [u8; 32]);

/// A random value from which, together with a secret, the next secret of a session is derived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SuccessorSalt(pub [u8; 32]);

impl SuccessorSalt {
    /// Returns a random salt.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn generate() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut salt = [0; 32];
        aws_lc_rs::rand::fill(&mut salt)?;
        Ok(Self(salt))
    }
}

/// A refresh token, as a client holds it.
pub struct RefreshToken {
    /// Which session it belongs to.
    pub family: Family,
    /// Proves that it is the newest one.
    secret: [u8; 32],
}

impl RefreshToken {
    /// The length of the text: 48 octets in base64url.
    pub const TEXT_LENGTH: usize = 64;

    /// A new token of that family.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn generate(family: Family) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret)?;
        Ok(Self { family, secret })
    }

    /// Derives the next token of the same family: the same one each time from the same salt.
    #[must_use]
    pub fn successor(&self, salt: &SuccessorSalt) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), &salt.0);
        let mut secret = [0; 32];
        secret.copy_from_slice(tag.as_ref());
        Self { family: self.family, secret }
    }

    /// Reads back what [`RefreshToken::text`] wrote.
    ///
    /// # Errors
    /// `malformed` for anything else.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        const MALFORMED: Fault = Fault::new("malformed", "must be a refresh token, unchanged");
        let mut bytes = Zeroizing::new([0; 48]);
        if text.len() != Self::TEXT_LENGTH || URL_SAFE_NO_PAD.decode_slice(text, &mut *bytes) != Ok(bytes.len()) {
            return Err(MALFORMED);
        }
        let (family, secret) = bytes.split_at(16);
        Ok(Self {
            family: Family(Uuid::from_slice(family).map_err(|_| MALFORMED)?),
            secret: secret.try_into().map_err(|_| MALFORMED)?,
        })
    }

    /// The text handed to a client.
    #[must_use]
    pub fn text(&self) -> SecretString {
        let bytes = Zeroizing::new([self.family.0.as_bytes().as_slice(), &self.secret].concat());
        SecretString::from(URL_SAFE_NO_PAD.encode(&*bytes))
    }

    /// What the store keeps of it.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, &self.secret).as_ref());
        SecretDigest(out)
    }
}

/// Nothing of it is left in memory.
impl Drop for RefreshToken {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Family(…)")
    }
}

impl fmt::Debug for SuccessorSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuccessorSalt(…)")
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}
