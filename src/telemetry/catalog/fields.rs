//! x

use super::Signal;

/// x
pub const FIELDS: &[Signal] = &[];
