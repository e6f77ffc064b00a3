//! What is wrong with one field of an input.

use std::borrow::Cow;

/// One broken rule, in words for the person who has to mend the input.
///
/// The `code` is stable and meant for programs; the `message` names what is accepted.
/// Neither ever repeats the value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable, in `snake_case`, such as `too_short`.
    pub code: &'static str,
    /// A sentence without the value, such as `must have at least 8 characters`.
    pub message: Cow<'static, str>,
}

impl Fault {
    /// A fault with a fixed message.
    #[must_use]
    pub const fn new(code: &'static str, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message) }
    }
}
