//! x

use super::Signal;

/// x
pub const SPANS: &[Signal] = &[];
