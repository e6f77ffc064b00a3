//! x

use super::Signal;

/// x
pub const PATHS: &[Signal] = &[];
