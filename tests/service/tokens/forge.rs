//! A forger who holds the service's own key: what it signs can be refused for nothing but what it says.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use glasshouse::domain::auth::{Keys, SigningAlgorithm};
use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Engine as Store, PASSWORD, Service, Session};

/// The service, two of its users, and everything that a token is made of.
pub(super) struct Forge {
    pub(super) service: Service,
    pub(super) ann: Session,
    pub(super) bob: Session,
    /// Header and claims of a token of Ann's, as they are written.
    pub(super) head: String,
    pub(super) claims: String,
    pub(super) key: Key,
    /// A key of the other algorithm, which the service accepts too.
    pub(super) other: Key,
    /// A key that the service does not know.
    pub(super) stranger: Key,
    _folder: TempDir,
}

/// A private key, and everything that is public of it.
pub(super) struct Key {
    pub(super) algorithm: SigningAlgorithm,
    pub(super) id: String,
    pem: String,
    jwk: Value,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl Key {
    fn generate(algorithm: SigningAlgorithm) -> Self {
        let secret = Keys::generate_pem(algorithm).unwrap();
        let jwk = serde_json::to_value(&Keys::parse(&secret, &[]).unwrap().public().keys[0]).unwrap();
        let pem = secret.expose_secret().to_owned();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).unwrap();
        let pair = match algorithm {
            SigningAlgorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap()),
            SigningAlgorithm::Es256 => {
                Pair::P256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap())
            }
        };
        Self { algorithm, id: jwk["kid"].as_str().unwrap().to_owned(), pem, jwk, pair }
    }

    pub(super) fn sign(&self, message: &str) -> Vec<u8> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
        }
    }

    /// The public key as bytes: those of Ed25519, or the uncompressed point.
    fn raw(&self) -> Vec<u8> {
        let coordinate =
            |name: &str| self.jwk.get(name).map(|text| decoded(text.as_str().unwrap())).unwrap_or_default();
        match self.algorithm {
            SigningAlgorithm::EdDsa => coordinate("x"),
            SigningAlgorithm::Es256 => [vec![4], coordinate("x"), coordinate("y")].concat(),
        }
    }

    /// The same with its algorithm (RFC 8410, section 4; RFC 5480, section 2).
    fn der(&self) -> Vec<u8> {
        let head: &[u8] = match self.algorithm {
            SigningAlgorithm::EdDsa => &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00],
            SigningAlgorithm::Es256 => &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
                0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
            ],
        };
        [head, &self.raw()].concat()
    }

    fn public_pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(self.der()))
    }
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

impl Forge {
    pub(super) async fn open(algorithm: SigningAlgorithm) -> Self {
        let other = SigningAlgorithm::ALL.into_iter().find(|other| *other != algorithm).unwrap();
        let (key, other, stranger) = (Key::generate(algorithm), Key::generate(other), Key::generate(algorithm));
        let folder = TempDir::new().unwrap();
        let (signing, verifying) = (folder.path().join("signing-key.pem"), folder.path().join("other.pub.pem"));
        std::fs::write(&signing, &key.pem).unwrap();
        std::fs::write(&verifying, other.public_pem()).unwrap();
        let settings = [
            ("GLASSHOUSE_AUTH__SIGNING_ALGORITHM", algorithm.as_str()),
            ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", signing.to_str().unwrap()),
            ("GLASSHOUSE_AUTH__VERIFICATION_KEY_FILES", verifying.to_str().unwrap()),
        ];
        let service = Service::start_with(Store::Sqlite, &settings).await;
        let (ann, bob) = (
            session_with_unused_token(&service, "ann@example.com").await,
            service.client().joined("bob@example.com").await,
        );
        let text = |part: usize| {
            let part = ann.access_token.split('.').nth(part).unwrap();
            String::from_utf8(decoded(part)).unwrap()
        };
        let (head, claims) = (text(0), text(1));
        Self { key, other, stranger, service, ann, bob, head, claims, _folder: folder }
    }

    /// A token of these texts, signed by the service's own key.
    pub(super) fn signed(&self, head: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        signed_by(&self.key, head, claims)
    }

    /// The service's own signature below whatever is written.
    pub(super) fn signed_message(&self, message: &str) -> String {
        encoded(self.key.sign(message))
    }

    /// One with another header, in order otherwise.
    pub(super) fn with_head(&self, change: impl FnOnce(&mut Value)) -> String {
        self.signed(changed(&self.head, change), &self.claims)
    }

    /// One with other claims, in order otherwise.
    pub(super) fn with_claims(&self, change: impl FnOnce(&mut Value)) -> String {
        self.signed(&self.head, changed(&self.claims, change))
    }

    /// What somebody might take for a shared secret: the public key in each form in which it can be had.
    pub(super) fn public_forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let Key { jwk, .. } = &self.key;
        let (raw, der, pem) = (self.key.raw(), self.key.der(), self.key.public_pem());
        let x = jwk["x"].as_str().unwrap().as_bytes().to_vec();
        vec![
            ("PEM", pem.clone().into()),
            ("PEM without its last line end", pem.trim_end().into()),
            ("DER", der),
            ("raw bytes", raw),
            ("x of the JWK", x),
            ("the JWK", jwk.to_string().into()),
            ("nothing", Vec::new()),
        ]
    }

    /// Signed with a shared secret, as whoever confuses the two kinds of key would check it.
    pub(super) fn with_secret(&self, algorithm: hmac::Algorithm, name: &str, secret: &[u8]) -> String {
        let head = changed(&self.head, |head| head["alg"] = name.into());
        let message = format!("{}.{}", encoded(head), encoded(&self.claims));
        let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
        format!("{message}.{}", encoded(tag))
    }
}

/// Registers a user and signs in. The access token was not sent yet, so it is not cached.
async fn session_with_unused_token(service: &Service, email: &str) -> Session {
    let registered = service.client().register(email).await;
    let granted = service.client().sign_in(email, PASSWORD).await;
    let token = |name: &str| granted.json[name].as_str().unwrap().to_owned();
    Session {
        id: registered.json["id"].as_str().unwrap().to_owned(),
        email: email.to_owned(),
        etag: registered.header("etag").to_owned(),
        client: service.client().as_bearer(&token("access_token")),
        access_token: token("access_token"),
        refresh_token: token("refresh_token"),
    }
}

pub(super) fn signed_by(key: &Key, head: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", encoded(head), encoded(claims));
    format!("{message}.{}", encoded(key.sign(&message)))
}

/// JSON with something else in it.
pub(super) fn changed(json: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::from_str(json).unwrap();
    change(&mut value);
    value.to_string()
}

/// JSON with a member before all others, whether there is one of that name or not.
pub(super) fn preceded(json: &str, member: &str) -> String {
    json.replacen('{', &format!("{{{member},"), 1)
}

/// JSON with a member after all others.
pub(super) fn followed(json: &str, member: &str) -> String {
    format!("{},{member}}}", json.strip_suffix('}').unwrap())
}

/// The text whose last character is the next of the alphabet. Where bits are left over in it, both mean the same octets.
pub(super) fn respelled(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let at = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[at + 1..at + 2])
}

/// The other number that the same signature's equation holds for (RFC 8032, section 5.1.7 has it refused).
pub(super) fn malleable(token: &str) -> String {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut signature = decoded(signature);
    let mut carry = 0;
    for (octet, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*octet) + u16::from(order) + carry;
        [*octet, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    format!("{message}.{}", encoded(signature))
}
