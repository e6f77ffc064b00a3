//! What is wrong with the settings, all of it at once.

use std::fmt;

use super::sources::Origin;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting's name, such as `http.listen`; the variable or key itself if there is no such setting.
    pub setting: String,
    /// Where it was read.
    pub origin: Origin,
    /// What was read, without secrets; none where nothing was, or where it could hold a secret.
    pub read: Option<String>,
    /// What would have been accepted.
    pub accepted: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.setting.escape_debug())?;
        match (&self.origin, &self.read) {
            (Origin::Default, None) => f.write_str("not set")?,
            (Origin::Default, Some(read)) => write!(f, "{read} by default")?,
            (origin, Some(read)) => write!(f, "{read} from {origin}")?,
            (origin, None) => write!(f, "from {origin}")?,
        }
        write!(f, "; accepted: {}", self.accepted)
    }
}

/// Everything that is wrong, never nothing; shown one to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds one, unless it has been said: a variable for all signals is looked at once for each.
    pub(super) fn add(&mut self, fault: Fault) {
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// The value, unless something is wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl AsRef<[Fault]> for Faults {
    fn as_ref(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}
