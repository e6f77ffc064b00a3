//! The keys behind access tokens: one that signs, and those that are accepted during a rotation.

use aws_lc_rs::{error::Unspecified, rand::SystemRandom, signature::Ed25519KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use secrecy::{ExposeSecret, SecretString};

/// The Ed25519 keys that access tokens are signed and checked with, each named by its RFC 7638 thumbprint.
pub struct Keys {
    signing: EncodingKey,
    signing_id: String,
    public: JwkSet,
    verifying: Vec<(String, DecodingKey)>,
}

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The signing key cannot be used.
    #[error("must be an Ed25519 private key as PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes it")]
    Signing,
    /// A verification key cannot be used; the number counts from zero.
    #[error("key {0} must be an Ed25519 public key as PEM, as `openssl pkey -pubout` writes it")]
    Verifying(usize),
}

impl Keys {
    /// Reads the keys. The signing key's public half always verifies too.
    ///
    /// # Errors
    /// As [`KeyError`] says; no part of a key is ever in the message.
    pub fn parse(signing_pem: &SecretString, verification_pems: &[String]) -> Result<Self, KeyError> {
        let signing =
            EncodingKey::from_ed_pem(signing_pem.expose_secret().as_bytes()).map_err(|_| KeyError::Signing)?;
        let own = Jwk::from_encoding_key(&signing, Algorithm::EdDSA).map_err(|_| KeyError::Signing)?;
        let own = named(own).ok_or(KeyError::Signing)?;
        let signing_id = own.common.key_id.clone().ok_or(KeyError::Signing)?;

        let mut public = JwkSet { keys: vec![own] };
        for (index, pem) in verification_pems.iter().enumerate() {
            let key = verification_key(pem).ok_or(KeyError::Verifying(index))?;
            if !public.keys.contains(&key) {
                public.keys.push(key);
            }
        }
        let verifying = public
            .keys
            .iter()
            .enumerate()
            .map(|(index, jwk)| {
                let key = DecodingKey::from_jwk(jwk).map_err(|_| KeyError::Verifying(index))?;
                Ok((jwk.common.key_id.clone().unwrap_or_default(), key))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { signing, signing_id, public, verifying })
    }

    /// Whether it is a key that tokens can be checked with.
    #[must_use]
    pub fn is_verifying(pem: &str) -> bool {
        verification_key(pem).is_some()
    }

    /// The public halves, as RFC 7517 writes them.
    #[must_use]
    pub const fn public(&self) -> &JwkSet {
        &self.public
    }

    pub(super) const fn signing(&self) -> (&EncodingKey, &String) {
        (&self.signing, &self.signing_id)
    }

    pub(super) fn verifying(&self, id: &str) -> Option<&DecodingKey> {
        self.verifying.iter().find(|(name, _)| name == id).map(|(_, key)| key)
    }

    /// A new signing key, as PKCS#8 PEM.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn generate_pem() -> Result<SecretString, Unspecified> {
        // Version 1 of PKCS#8, without the public half: what openssl writes, and all that jsonwebtoken reads.
        let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())?;
        let body = STANDARD.encode(der.as_ref());
        Ok(SecretString::from(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")))
    }
}

fn verification_key(pem: &str) -> Option<Jwk> {
    let key = DecodingKey::from_ed_pem(pem.as_bytes()).ok()?;
    named(Jwk::from_decoding_key(&key, Some(Algorithm::EdDSA)).ok()?)
}

fn named(mut key: Jwk) -> Option<Jwk> {
    key.common.key_id = Some(key.thumbprint(ThumbprintHash::SHA256).ok()?);
    key.common.public_key_use = Some(PublicKeyUse::Signature);
    Some(key)
}
