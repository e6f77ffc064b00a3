//! Passwords: what is accepted, and hashing them on threads of their own.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use argon2::{Argon2, password_hash::PasswordHasher};
use secrecy::{
    ExposeSecret, SecretString,
    zeroize::{Zeroize, Zeroizing},
};
use unicode_normalization::UnicodeNormalization;

use super::{
    hashing::Threads,
    metrics::HashingMetrics,
    verify::{Verdict, verify},
};
use crate::domain::{Fault, Kind};

/// 8 to 128 characters of any kind: NIST SP 800-63B-4, section 3.1.1.2, asks for length and against composition rules.
///
/// Counted and hashed in NFC (RFC 8265, section 4.2): systems differ in how they encode the same characters.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// The fewest characters.
    pub const MIN_CHARS: usize = 8;
    /// The most characters; beyond it hashing would be a way to keep us busy.
    pub const MAX_CHARS: usize = 128;

    /// Reads a password; nothing is trimmed.
    ///
    /// # Errors
    /// `too_short` or `too_long`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match text.nfc().take(Self::MAX_CHARS + 1).count() {
            0..Self::MIN_CHARS => Err(Fault::new("too_short", "must have at least 8 characters")),
            Self::MIN_CHARS..=Self::MAX_CHARS => Ok(Self(SecretString::from(text))),
            _ => Err(Fault::new("too_long", "must have at most 128 characters")),
        }
    }
}

impl Password {
    /// The text as the client sent it, for comparing it with a hash.
    pub(in crate::domain) const fn shown(&self) -> &SecretString {
        &self.0
    }

    /// Whether a text is short enough for a password, in NFC or as it is.
    #[must_use]
    pub fn is_possible(text: &str) -> bool {
        let limit = Self::MAX_CHARS;
        text.chars().take(limit + 1).count() <= limit || text.nfc().take(limit + 1).count() <= limit
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// An argon2id hash with its salt and parameters, as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// What the store kept.
    #[must_use]
    pub const fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// What the store keeps.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Nothing of it is left in memory.
impl Drop for PasswordHash {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Its turn did not come in time.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// The machine is out of memory.
    #[error("the password hash failed")]
    Failed(#[source] argon2::password_hash::Error),
    /// The thread that hashed it panicked.
    #[error("the hash was lost in a panic")]
    Lost,
}

impl HashingError {
    /// How it ended, for any edge.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Overloaded => Kind::Unavailable,
            Self::Failed(_) | Self::Lost => Kind::Internal,
        }
    }

    /// The stable word for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Overloaded => "hashing_overloaded",
            Self::Failed(_) | Self::Lost => "internal",
        }
    }
}

/// Hashes and checks passwords: some at once, some more wait for a while, the rest is refused. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    threads: Threads,
    /// How long one waits for its turn.
    wait: Duration,
    metrics: HashingMetrics,
}

impl Passwords {
    /// So many `workers` at once (at least one); whoever waits longer than that for one of them is refused.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(workers: usize, wait: Duration, metrics: HashingMetrics) -> io::Result<Self> {
        Ok(Self { threads: Threads::start(workers.max(1))?, wait, metrics })
    }

    /// Hashes with argon2id and a fresh salt, 19 MiB and 2 passes: OWASP's first choice of parameters.
    ///
    /// # Errors
    /// As [`HashingError`] says.
    pub async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError> {
        self.rehash(password.shown()).await
    }

    /// Hashes a text that was verified as a password, whatever today's rules say of its length.
    ///
    /// # Errors
    /// As [`HashingError`] says.
    pub(super) async fn rehash(&self, password: &SecretString) -> Result<PasswordHash, HashingError> {
        let password = normalized(password);
        self.run(move || {
            let hash = Argon2::default().hash_password(password.as_bytes())?;
            Ok(PasswordHash(hash.to_string()))
        })
        .await
    }

    /// Compares a password with a stored hash: in NFC, and then as the client sent it, because hashes of earlier versions
    /// are of that. Without a hash the comparison takes as long, so that the time does not tell whether an account exists.
    ///
    /// # Errors
    /// As [`HashingError`] says.
    pub async fn verify(&self, password: &SecretString, hash: Option<&PasswordHash>) -> Result<Verdict, HashingError> {
        let (normalized, given, hash) = (normalized(password), password.clone(), hash.cloned());
        self.run(move || verify(&normalized, given.expose_secret(), hash.as_ref().map(PasswordHash::as_str))).await
    }

    #[tracing::instrument(name = "hash password", skip_all)]
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, HashingError> {
        let waiting = self.metrics.waiting();
        let Ok(thread) = tokio::time::timeout(self.wait, self.threads.turn()).await else {
            self.metrics.refused();
            return Err(HashingError::Overloaded);
        };
        drop(waiting);
        let started = Instant::now();
        let result = thread.run(work).await;
        self.metrics.hashed(started.elapsed());
        result.ok_or(HashingError::Lost)?.map_err(HashingError::Failed)
    }
}

/// In NFC. Room for the longest form is reserved, so that no copy is left behind where the text grows.
fn normalized(password: &SecretString) -> Zeroizing<String> {
    /// How many times as long a text becomes at most (Unicode Technical Report 36, section 2.4).
    const EXPANSION: usize = 3;

    let given = password.expose_secret();
    let mut text = Zeroizing::new(String::with_capacity(given.len() * EXPANSION));
    text.extend(given.nfc());
    text
}

#[cfg(test)]
mod tests {
    use super::Password;

    #[test]
    fn password_length_is_counted_in_nfc() {
        // Seven characters of two code points each; 128 of them are 256 code points.
        assert_eq!(Password::parse(&"e\u{301}".repeat(7)).unwrap_err().code, "too_short");
        assert!(Password::parse(&"e\u{301}".repeat(128)).is_ok());
        assert_eq!(Password::parse(&"e\u{301}".repeat(129)).unwrap_err().code, "too_long");
    }

    #[test]
    fn password_attempt_is_possible_in_nfc_or_as_it_is() {
        assert!(Password::is_possible(&"e\u{301}".repeat(128)));
        // A composition exclusion: in NFC it is two characters.
        assert!(Password::is_possible(&"\u{958}".repeat(128)));
        assert!(!Password::is_possible(&"é".repeat(129)));
    }
}
