//! The keys behind access tokens: one that signs, and those that are accepted during a rotation.

use aws_lc_rs::{
    error::Unspecified,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use secrecy::{ExposeSecret, SecretString};

/// A signature algorithm of access tokens. Each belongs to one kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA with P-256 and SHA-256 (RFC 7518), for libraries without Ed25519.
    Es256,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::EdDsa, Self::Es256];

    /// The name in `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// Reads a name; `None` for every other algorithm.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    pub(super) const fn jwa(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
        }
    }
}

/// The keys that access tokens are signed and checked with, each named by its RFC 7638 thumbprint.
pub struct Keys {
    pub(super) signing: SigningKey,
    public: JwkSet,
    verifying: Vec<VerificationKey>,
}

/// The key that signs.
pub(super) struct SigningKey {
    pub(super) id: String,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) key: EncodingKey,
}

/// A key that is accepted. Its algorithm is its own: a token that names the key and another algorithm is refused.
pub(super) struct VerificationKey {
    id: String,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) key: DecodingKey,
}

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The signing key cannot be used.
    #[error("must be an Ed25519 or P-256 private key as PKCS#8 PEM, as `openssl genpkey` writes it")]
    Signing,
    /// A verification key cannot be used; the number counts from zero.
    #[error("key {0} must be an Ed25519 or P-256 public key as PEM, as `openssl pkey -pubout` writes it")]
    Verifying(usize),
}

impl Keys {
    /// Reads the keys, of either kind. The signing key's public half always verifies too.
    ///
    /// # Errors
    /// As [`KeyError`] says; no part of a key is ever in the message.
    pub fn parse(signing_pem: &SecretString, verification_pems: &[String]) -> Result<Self, KeyError> {
        let (algorithm, key, own) = signing_key(signing_pem).ok_or(KeyError::Signing)?;
        let id = own.common.key_id.clone().ok_or(KeyError::Signing)?;
        let mut public = JwkSet { keys: vec![own.clone()] };
        let mut verifying = vec![VerificationKey::new(algorithm, &own).ok_or(KeyError::Signing)?];
        for (index, pem) in verification_pems.iter().enumerate() {
            let (algorithm, jwk) = verification_key(pem).ok_or(KeyError::Verifying(index))?;
            if !public.keys.contains(&jwk) {
                verifying.push(VerificationKey::new(algorithm, &jwk).ok_or(KeyError::Verifying(index))?);
                public.keys.push(jwk);
            }
        }
        Ok(Self { signing: SigningKey { id, algorithm, key }, public, verifying })
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

    /// The algorithm that tokens are signed with.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.signing.algorithm
    }

    /// The algorithms of all keys that are accepted, without repetition.
    #[must_use]
    pub fn algorithms(&self) -> Vec<SigningAlgorithm> {
        let is_used = |algorithm: &SigningAlgorithm| self.verifying.iter().any(|key| key.algorithm == *algorithm);
        SigningAlgorithm::ALL.into_iter().filter(is_used).collect()
    }

    pub(super) fn verifying(&self, id: &str) -> Option<&VerificationKey> {
        self.verifying.iter().find(|key| key.id == id)
    }

    /// A new signing key, as PKCS#8 PEM.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn generate_pem(algorithm: SigningAlgorithm) -> Result<SecretString, Unspecified> {
        let random = SystemRandom::new();
        let der = match algorithm {
            // Version 1 of PKCS#8, without the public half: what openssl writes, and all that jsonwebtoken reads.
            SigningAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8v1(&random)?,
            SigningAlgorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?,
        };
        let body = STANDARD.encode(der.as_ref());
        Ok(SecretString::from(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")))
    }
}

impl VerificationKey {
    fn new(algorithm: SigningAlgorithm, jwk: &Jwk) -> Option<Self> {
        Some(Self { id: jwk.common.key_id.clone()?, algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
    }
}

/// The key, and its public half by name.
fn signing_key(pem: &SecretString) -> Option<(SigningAlgorithm, EncodingKey, Jwk)> {
    let pem = pem.expose_secret().as_bytes();
    let (algorithm, key) = match EncodingKey::from_ed_pem(pem) {
        Ok(key) => (SigningAlgorithm::EdDsa, key),
        Err(_) => (SigningAlgorithm::Es256, EncodingKey::from_ec_pem(pem).ok()?),
    };
    // Fails for a key on another curve than P-256.
    let jwk = named(Jwk::from_encoding_key(&key, algorithm.jwa()).ok()?)?;
    Some((algorithm, key, jwk))
}

fn verification_key(pem: &str) -> Option<(SigningAlgorithm, Jwk)> {
    let (algorithm, key) = match DecodingKey::from_ed_pem(pem.as_bytes()) {
        Ok(key) => (SigningAlgorithm::EdDsa, key),
        Err(_) => (SigningAlgorithm::Es256, DecodingKey::from_ec_pem(pem.as_bytes()).ok()?),
    };
    if algorithm == SigningAlgorithm::Es256 {
        // The PEM's reader knows a curve by the length of its points, and two curves share that of P-256.
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.try_get_as_bytes().ok()?).ok()?;
    }
    Some((algorithm, named(Jwk::from_decoding_key(&key, Some(algorithm.jwa())).ok()?)?))
}

fn named(mut key: Jwk) -> Option<Jwk> {
    key.common.key_id = Some(key.thumbprint(ThumbprintHash::SHA256).ok()?);
    key.common.public_key_use = Some(PublicKeyUse::Signature);
    Some(key)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{Keys, SigningAlgorithm};

    fn public(body: &str) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    #[test]
    fn public_key_on_another_curve_than_p_256_is_refused() {
        let p256 = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAED/Lem+KRTagG6ClOgATxDOZfNduUsUgnEXB2TXaduRWnzLwe8t56WFChvSrFIBIO\
                    PoXOzBb3XEI6IpuQOhylhg==";
        assert!(Keys::is_verifying(&public(p256)));
        let p384 = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEFV9eo4LE42xpXJ5SsK0kEEoe0RvOWdJBPHTD/gy3MIUgWf6cDZVwq2ifVnnQIin9cEcb\
                    ak2eirL5voASc6jzFhDWEvW3Sa6h2m6nNjBLx5eCQCdmGe1M3RSrLHLRUocH";
        // A point of the same length, which is not on P-256.
        let secp256k1 = "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEsknFhu6WVgi6Jg+nKaVOtoK4Cmfza4tRfSKINClR98o4U5cSz6+ZG03Z7KicWVFY\
                         hSNuFpEuwRCd6rW72WUEIA==";
        for body in [p384, secp256k1] {
            assert!(!Keys::is_verifying(&public(body)), "{body}");
        }
    }

    #[test]
    fn private_key_is_no_verification_key() {
        for algorithm in SigningAlgorithm::ALL {
            let pem = Keys::generate_pem(algorithm).expect("random numbers");
            assert!(!Keys::is_verifying(pem.expose_secret()), "{algorithm:?}");
        }
    }
}
