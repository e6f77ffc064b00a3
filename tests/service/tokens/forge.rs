//! A forger who holds the service's own key: what it signs can be refused for nothing but what it says.

use aws_lc_rs::{hmac, signature::Ed25519KeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use glasshouse::domain::auth::Keys;
use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Engine as Store, Service, Session};

/// The service, two of its users, and everything that a token is made of.
pub(super) struct Forge {
    pub(super) service: Service,
    pub(super) ann: Session,
    pub(super) bob: Session,
    /// Header and claims of a token of Ann's, as they are written.
    pub(super) head: String,
    pub(super) claims: String,
    pem: String,
    key: Ed25519KeyPair,
    /// A key that the service has never heard of.
    pub(super) stranger: Ed25519KeyPair,
    _folder: TempDir,
}

fn pair(pem: &str) -> Ed25519KeyPair {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&STANDARD.decode(body).unwrap()).unwrap()
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

impl Forge {
    pub(super) async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let pem = Keys::generate_pem().unwrap().expose_secret().to_owned();
        let path = folder.path().join("signing-key.pem");
        std::fs::write(&path, &pem).unwrap();
        let path = path.display().to_string();
        let service = Service::start_with(Store::Sqlite, &[("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", &path)]).await;
        let (ann, bob) =
            (service.client().joined("ann@example.com").await, service.client().joined("bob@example.com").await);
        let text = |part: usize| {
            let part = ann.access_token.split('.').nth(part).unwrap();
            String::from_utf8(decoded(part)).unwrap()
        };
        let (head, claims) = (text(0), text(1));
        let stranger = pair(Keys::generate_pem().unwrap().expose_secret());
        Self { key: pair(&pem), pem, service, ann, bob, head, claims, stranger, _folder: folder }
    }

    /// A token of these texts, signed by the service's own key.
    pub(super) fn signed(&self, head: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        signed_by(&self.key, head, claims)
    }

    /// The service's own signature below whatever is written.
    pub(super) fn signed_message(&self, message: &str) -> String {
        encoded(self.key.sign(message.as_bytes()))
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
        let keys = Keys::parse(&self.pem.clone().into(), &[]).unwrap();
        let jwk = serde_json::to_value(&keys.public().keys[0]).unwrap();
        let raw = decoded(jwk["x"].as_str().unwrap());
        // RFC 8410, section 4: the one algorithm, then the 32 octets.
        let der = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &raw].concat();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
        let x = jwk["x"].as_str().unwrap().as_bytes().to_vec();
        vec![
            ("PEM", pem.clone().into()),
            ("PEM without its last line end", pem.trim_end().into()),
            ("DER", der),
            ("raw octets", raw),
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

pub(super) fn signed_by(key: &Ed25519KeyPair, head: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", encoded(head), encoded(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", encoded(signature))
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
