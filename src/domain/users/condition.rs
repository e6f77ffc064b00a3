//! The condition of a conditional write: the stored versions that it may replace.

use super::Version;

/// A condition on the stored version of a user. It is checked in the same step as the write. The default accepts every
/// version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// The stored version must be one of these; `None` accepts every version.
    pub one_of: Option<Vec<Version>>,
    /// The stored version must be none of these.
    pub none_of: Vec<Version>,
}

impl Condition {
    /// Whether a write to that stored version is allowed.
    #[must_use]
    pub fn accepts(&self, stored: Version) -> bool {
        self.one_of.as_ref().is_none_or(|versions| versions.contains(&stored)) && !self.none_of.contains(&stored)
    }
}
