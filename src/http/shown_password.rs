//! A password that somebody shows to prove something, in whatever form it comes.

use secrecy::{ExposeSecret, SecretString};

use crate::domain::{Fault, auth::Password};

/// Any text. Whether it could be a password is not told: that would be an answer faster than a wrong password's.
pub(super) struct ShownPassword(SecretString);

impl ShownPassword {
    /// Never fails.
    #[expect(clippy::unnecessary_wraps, reason = "every field of an input is read by a function of this shape")]
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self(SecretString::from(text)))
    }

    /// Whether it could be anybody's.
    pub(super) fn is_possible(&self) -> bool {
        Password::is_possible(self.0.expose_secret())
    }

    /// Itself; or the empty one, which is nobody's, if it is longer than any: hashing it would keep us busy.
    pub(super) fn possible(self) -> SecretString {
        if self.is_possible() { self.0 } else { SecretString::from("") }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::ShownPassword;

    #[test]
    fn what_is_longer_than_any_password_is_not_hashed() {
        let shown = |text: &str| ShownPassword::parse(text).expect("it never fails").possible();
        assert_eq!(shown(&"é".repeat(128)).expose_secret().chars().count(), 128);
        assert_eq!(shown(&"é".repeat(129)).expose_secret(), "");
        assert_eq!(shown("short").expose_secret(), "short");
    }
}
