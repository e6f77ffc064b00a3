//! An e-mail address, as far as a service can judge one without writing to it.

use std::fmt;

use crate::domain::Fault;

/// A plausible address: ASCII, at most 254 octets (RFC 5321, section 4.5.3.1.3), one `@`, a domain with a dot.
///
/// Kept as it was given; two addresses that differ only in case are the same account (see [`Email::key`]).
/// Quoted local parts, address literals and non-ASCII addresses are refused: mail systems rarely carry them,
/// and look-alike letters are how accounts are impersonated.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The longest accepted address, in octets.
    pub const MAX_OCTETS: usize = 254;
    /// The pattern of [`Email::parse`], for the API's description.
    pub const PATTERN: &str = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";

    /// Reads an address; nothing is trimmed or repaired.
    ///
    /// # Errors
    /// `too_long` past 254 octets (64 before the `@`), `malformed` for everything else.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        const MALFORMED: Fault = Fault::new("malformed", "must be an e-mail address such as ann@example.com");
        if text.len() > Self::MAX_OCTETS {
            return Err(Fault::new("too_long", "must have at most 254 characters"));
        }
        let (local, domain) = text.split_once('@').ok_or(MALFORMED)?;
        if local.len() > 64 {
            return Err(Fault::new("too_long", "must have at most 64 characters before the @"));
        }
        let local_is_fine = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom));
        let domain_is_fine = domain.contains('.') && domain.split('.').all(is_label);
        if local_is_fine && domain_is_fine { Ok(Self(text.to_owned())) } else { Err(MALFORMED) }
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes an account unique: the address in lower case.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// `atext` of RFC 5322, section 3.2.3.
fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

/// A host name's label: RFC 1123, section 2.1.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Never the address itself: e-mail addresses stay out of every signal.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn plausible_addresses_are_kept_as_given() {
        for text in ["a@b.co", "Ann.Lee+tag@Example.COM", "x_y@sub.example.org"] {
            assert_eq!(Email::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn implausible_addresses_are_refused() {
        for text in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a@b..c",
            "a..b@c.de",
            "a b@c.de",
            "a@-b.co",
            "a@b.co\n",
            "ä@b.co",
            "a@b@c.de",
            "\"a\"@b.co",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn case_does_not_make_an_account() {
        let key = |text| Email::parse(text).expect(text).key();
        assert_eq!(key("Ann@Example.com"), key("aNN@eXAMPLE.COM"));
    }
}
