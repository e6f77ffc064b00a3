//! Passwords: what is accepted, and hashing them on threads of their own.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};

use super::{hashing::Threads, metrics::HashingMetrics};
use crate::domain::{Fault, Kind};

/// 8 to 128 characters of any kind: NIST SP 800-63B, section 5.1.1, asks for length and against composition rules.
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
        match text.chars().count() {
            0..Self::MIN_CHARS => Err(Fault::new("too_short", "must have at least 8 characters")),
            Self::MIN_CHARS..=Self::MAX_CHARS => Ok(Self(SecretString::from(text))),
            _ => Err(Fault::new("too_long", "must have at most 128 characters")),
        }
    }
}

impl Password {
    /// For comparing it with a hash.
    pub(in crate::domain) const fn shown(&self) -> &SecretString {
        &self.0
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
    /// The stored hash cannot be read, or the machine is out of memory.
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

/// A hash that no password has, at the price of one of ours. Hashing anew instead would take another time: 1.3 % more, and
/// a few hundred tries tell that.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$Y4KzzIgUErd7/K7tAmABwA2eMCXmbCD25+kvB5hRRio";

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
        let password = password.clone();
        self.run(move || {
            let hash = Argon2::default().hash_password(password.0.expose_secret().as_bytes())?;
            Ok(PasswordHash(hash.to_string()))
        })
        .await
    }

    /// Whether it is this password. Without a hash to compare with, it compares with one that nobody has and
    /// says no, so that nobody learns from the time whether an account exists.
    ///
    /// # Errors
    /// As [`HashingError`] says.
    pub async fn verify(&self, password: &SecretString, hash: Option<&PasswordHash>) -> Result<bool, HashingError> {
        let (password, hash) = (password.clone(), hash.cloned());
        self.run(move || {
            let compared = phc::PasswordHash::new(hash.as_ref().map_or(NOBODYS, |hash| &hash.0))?;
            match Argon2::default().verify_password(password.expose_secret().as_bytes(), &compared) {
                Ok(()) => Ok(hash.is_some()),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
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

#[cfg(test)]
mod tests {
    use argon2::{Argon2, password_hash::PasswordHasher};

    use super::NOBODYS;

    /// Everything but salt and hash, and how long these are.
    fn price(hash: &str) -> (&str, usize, usize) {
        let mut parts = hash.rsplitn(3, '$');
        let (hash, salt) = (parts.next().unwrap(), parts.next().unwrap());
        (parts.next().unwrap(), salt.len(), hash.len())
    }

    #[test]
    fn a_password_that_nobody_has_is_checked_at_the_price_of_any_other() {
        let anybodys = Argon2::default().hash_password(b"a fine password").unwrap().to_string();
        assert_eq!(price(NOBODYS), price(&anybodys));
    }
}
