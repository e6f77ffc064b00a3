//! A part of the list of users: where it begins, how long it is, which users are meant.

use super::{Email, Role, User, UserId};
use crate::domain::{Fault, page};

/// Where a page begins: right after one user.
///
/// Opaque to clients, so that the order can change without breaking them.
/// The user it names need not exist any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub UserId);

impl Cursor {
    const LAYOUT: u8 = 1;

    /// The text handed to a client.
    #[must_use]
    pub fn encode(self) -> String {
        page::encode(Self::LAYOUT, self.0.0)
    }

    /// Reads back what [`Cursor::encode`] wrote.
    ///
    /// # Errors
    /// `malformed` for anything else.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        page::decode(Self::LAYOUT, text).map(|id| Self(UserId(id)))
    }
}

/// How long a page is at most: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// The longest page.
    pub const MAX: u32 = 100;

    /// Reads a number in decimal digits.
    ///
    /// # Errors
    /// `out_of_range` for anything but 1 to 100.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match text.parse() {
            Ok(limit @ 1..=Self::MAX) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Self(limit)),
            _ => Err(Fault::new("out_of_range", "must be a whole number from 1 to 100")),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

/// The beginning of an e-mail address, in lower case; finds addresses ignoring case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailPrefix(String);

impl EmailPrefix {
    /// Reads a prefix.
    ///
    /// # Errors
    /// `malformed` if no address can begin so: empty, over 254 octets, white space, control or non-ASCII characters.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let plausible =
            (1..=Email::MAX_OCTETS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plausible {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Fault::new("malformed", "must be the beginning of an e-mail address"))
        }
    }

    /// The lowest key that begins so: the prefix itself.
    #[must_use]
    pub fn lowest(&self) -> &str {
        &self.0
    }

    /// A bound above every key that begins so: `~` is the highest character an address can hold, DEL is above it.
    #[must_use]
    pub fn above(&self) -> String {
        format!("{}\u{7f}", self.0)
    }
}

/// Which users are meant; all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this role.
    pub role: Option<Role>,
    /// Only addresses that begin so.
    pub email_prefix: Option<EmailPrefix>,
}

/// One page, in order of registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most as many as were asked for.
    pub users: Vec<User>,
    /// Where the next page begins; none on the last one.
    pub next: Option<Cursor>,
}
