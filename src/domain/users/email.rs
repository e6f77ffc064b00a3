//! An e-mail address, as far as a service can judge one without writing to it.

use std::fmt;

use crate::domain::Fault;

const MALFORMED: Fault = Fault::new("malformed", "must be an e-mail address such as ann@example.com");

/// A plausible address: ASCII, at most 254 octets (RFC 5321, section 4.5.3.1.3), one `@`, a domain with a dot.
///
/// Kept as it was given; two addresses that differ only in case are the same account (see [`Email::key`]).
/// Quoted local parts, address literals and non-ASCII addresses are refused: mail systems rarely carry them,
/// and look-alike letters are how accounts are impersonated. That goes for a domain's `xn--` form too: a mail program
/// shows the letters that it stands for.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The longest accepted address, in octets.
    pub const MAX_OCTETS: usize = 254;
    /// The pattern of [`Email::parse`], for the API's description: all but the length of what stands before the `@`. It
    /// looks neither ahead nor back, because linear engines (RE2, Go, Rust) cannot.
    ///
    /// Of a label of the domain, the third and fourth character are not both hyphens, and the last label begins with a
    /// letter.
    #[must_use]
    pub fn pattern() -> String {
        let atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]";
        let (first, any) = ("[A-Za-z0-9]", "[A-Za-z0-9-]");
        let rest =
            format!("({first}|{any}{first}|{any}{any}{first}|{any}({first}{any}|{any}{first}){any}{{0,58}}{first})?");
        format!("^{atom}{{1,64}}(\\.{atom}{{1,62}})*@({first}{rest}\\.)+[A-Za-z]{rest}$")
    }

    /// Reads an address that shall become an account's; nothing is trimmed or repaired.
    ///
    /// # Errors
    /// `too_long` past 254 octets (64 before the `@`), `not_ascii` for a domain that stands for other letters,
    /// `malformed` for everything else.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let email = Self::parse_kept(text)?;
        let (_, domain) = text.split_once('@').ok_or(MALFORMED)?;
        if domain.split('.').any(is_encoded) {
            return Err(Fault::new("not_ascii", "must have a domain of ASCII letters, not one that xn-- stands for"));
        }
        // As every top-level domain does (RFC 1123, section 2.1), and no IP address.
        let top = domain.rsplit('.').next().unwrap_or_default();
        if top.starts_with(|char: char| char.is_ascii_alphabetic()) { Ok(email) } else { Err(MALFORMED) }
    }

    /// Reads an address that an account may have had before [`Email::parse`] became as strict as it is: only to look
    /// that account up.
    ///
    /// # Errors
    /// `too_long` and `malformed`.
    pub fn parse_kept(text: &str) -> Result<Self, Fault> {
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

/// Whether it stands for other letters, by `xn--` or by a prefix that is not used yet (RFC 5891, section 4.2.3.1).
fn is_encoded(label: &str) -> bool {
    label.as_bytes().get(2..4) == Some(b"--")
}

/// Never the address itself: e-mail addresses stay out of every signal.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Email;

    #[test]
    fn plausible_addresses_are_kept_as_given() {
        for text in ["a@b.co", "Ann.Lee+tag@Example.COM", "x_y@sub.example.org", "xn--a@b-c.co", "a@4--2.b2", "a@1.co"]
        {
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
            "a@b.co.",
            "a@b.123",
            "a@b.1co",
            "a@127.0.0.1",
            "a@[127.0.0.1]",
            "a\0b@c.de",
            "a\t@b.co",
            "a@b\r.co",
            "a\u{7f}@b.co",
            "a@b.c\u{202e}o",
            "a@xn--80ak6aa92e.com",
            "a@mail.XN--80ak6aa92e.com",
            "a@example.xn--p1ai",
            "a@zz--later.com",
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

    #[test]
    fn what_was_accepted_once_can_still_sign_in() {
        assert!(Email::parse_kept("a@xn--80ak6aa92e.com").is_ok());
        assert!(Email::parse_kept("ä@b.co").is_err());
    }

    #[test]
    fn lengths_are_those_of_the_protocol() {
        let domain = |label: usize| format!("a@{}.co", "b".repeat(label));
        assert!(Email::parse(&domain(63)).is_ok() && Email::parse(&domain(64)).is_err());
        let local = |atom: usize| format!("{}@b.co", "a".repeat(atom));
        assert!(Email::parse(&local(64)).is_ok() && Email::parse(&local(65)).is_err());
        let whole = |labels: usize, rest: usize| format!("a@{}{}.co", "bbbbbbb.".repeat(labels), "c".repeat(rest));
        assert_eq!(whole(31, 1).len(), 254);
        assert!(Email::parse(&whole(31, 1)).is_ok() && Email::parse(&whole(31, 2)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_nothing_that_cannot_be_seen(
            text in "\\PC{0,80}|[a-z@.\\x00-\\x20\\x7f-]{0,20}@[a-z.-]{1,20}",
        ) {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(email.as_str(), text);
            }
        }

        #[test]
        fn a_key_is_normalised_once_and_for_all(text in "[a-zA-Z0-9.+-]{1,20}@[a-zA-Z0-9-]{1,10}\\.[a-zA-Z]{2,6}") {
            if let Ok(email) = Email::parse(&text) {
                let again = Email::parse(&email.key()).expect("the key of an address is one");
                prop_assert_eq!(again.key(), email.key());
                prop_assert!(email.key().eq_ignore_ascii_case(&text));
            }
        }

        #[test]
        fn no_label_stands_for_other_letters(label in "(xn|XN|xN|q9)--[a-z0-9]{1,20}", before in "([a-z]{1,5}\\.)?") {
            let email = format!("a@{before}{label}.com");
            prop_assert_eq!(Email::parse(&email).map_err(|fault| fault.code).err(), Some("not_ascii"));
        }
    }
}
