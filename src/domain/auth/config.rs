//! The settings of signing in.

use std::time::Duration;

use secrecy::SecretString;

/// Settings of signing in: `[auth]`.
#[derive(Debug, Clone)]
pub struct Config {
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// The key that signs, Ed25519 or P-256, as PKCS#8 PEM. It decides the algorithm.
    pub signing_key: SecretString,
    /// Public keys of either kind (SPKI PEM) that verify beside the signing key's own: those before and after it in a rotation.
    pub verification_keys: Vec<String>,
    /// How much earlier than its `nbf` and `iat` an access token is accepted.
    pub clock_skew: Duration,
    /// How old a sign-in may be for changing an address or a role, or removing an account; zero for any age.
    pub recent_sign_in: Duration,
    /// How many sessions one account has at most.
    pub max_sessions: u32,
    /// How long an access token is valid.
    pub access_token_lifetime: Duration,
    /// How long a refresh token is valid; each use begins anew.
    pub refresh_token_lifetime: Duration,
    /// How long after its exchange a refresh token is exchanged again, for the same next token; zero for never.
    pub refresh_reuse_interval: Duration,
    /// How many passwords are hashed at once. Each takes a core and 19 MiB for about 30 ms.
    pub password_workers: usize,
    /// How long one may wait for that; then the answer is 503.
    pub password_wait: Duration,
}
