//! What a user wants to be called.

use crate::domain::Fault;

/// 1 to 100 characters, none of them a control character, not only white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The most characters (Unicode scalar values) a name has.
    pub const MAX_CHARS: usize = 100;

    /// Reads a name; nothing is trimmed or repaired.
    ///
    /// # Errors
    /// `too_short`, `too_long` or `control_character`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::new("too_short", "must have at least 1 character that is not white space"));
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(Fault::new("too_long", "must have at most 100 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(Fault::new("control_character", "must not contain control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
