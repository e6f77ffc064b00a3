//! A part of the list of users: where it begins, how long it is, which users are meant.

use super::{Email, Role, User, UserId};
use crate::domain::{Fault, page};

/// Where a page begins: right after one user.
///
/// Opaque to clients, so that the order can change without breaking them.
/// The user it names need not exist any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// In order of registration.
    Id(UserId),
    /// In order of the e-mail address, by its key: where addresses with one prefix are listed.
    Email(String),
}

impl Cursor {
    const ID_LAYOUT: u8 = 1;
    const EMAIL_LAYOUT: u8 = 3;

    /// The position of that user in the order in which a filter is listed.
    #[must_use]
    pub fn of(user: &User, filter: &Filter) -> Self {
        match filter.email_prefix {
            None => Self::Id(user.id),
            Some(_) => Self::Email(user.email.key()),
        }
    }

    /// The text handed to a client.
    #[must_use]
    pub fn encode(self) -> String {
        match self {
            Self::Id(id) => page::encode(Self::ID_LAYOUT, id.0.as_bytes()),
            Self::Email(key) => page::encode(Self::EMAIL_LAYOUT, key.as_bytes()),
        }
    }

    /// Reads back what [`Cursor::encode`] wrote.
    ///
    /// # Errors
    /// `malformed` for anything else.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let Ok(key) = page::decode(Self::EMAIL_LAYOUT, text) else {
            return page::id(&page::decode(Self::ID_LAYOUT, text)?).map(|id| Self::Id(UserId(id)));
        };
        let key = String::from_utf8(key).map_err(|_| page::MALFORMED)?;
        match EmailPrefix::parse(&key) {
            Ok(EmailPrefix(lower)) if lower == key => Ok(Self::Email(key)),
            _ => Err(page::MALFORMED),
        }
    }

    /// Checks that the cursor is of a list with such a filter.
    ///
    /// # Errors
    /// `malformed` if it is not.
    pub const fn check(&self, filter: &Filter) -> Result<(), Fault> {
        match (self, &filter.email_prefix) {
            (Self::Id(_), None) | (Self::Email(_), Some(_)) => Ok(()),
            (Self::Id(_), Some(_)) | (Self::Email(_), None) => Err(page::MALFORMED),
        }
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

    /// The lowest key of a page: the prefix itself, or the next possible key after the cursor's. No address holds a
    /// character as low as U+0001.
    #[must_use]
    pub fn lowest(&self, after: Option<&Cursor>) -> String {
        match after {
            Some(Cursor::Email(key)) => format!("{key}\u{1}").max(self.0.clone()),
            _ => self.0.clone(),
        }
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

/// One page: in order of registration, or of the e-mail address where the filter has a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most as many as were asked for.
    pub users: Vec<User>,
    /// Where the next page begins; none on the last one.
    pub next: Option<Cursor>,
}
