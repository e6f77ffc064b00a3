//! Where we do not know what a signal's frame looks like.

use std::time::Duration;

use super::{Captured, Unavailable};

fn unavailable() -> Unavailable {
    Unavailable("stacks are captured on Linux, on x86-64 and aarch64".to_owned())
}

/// Does nothing: no signal is used.
///
/// # Errors
/// Never.
pub(in crate::internal) const fn install_handler() -> Result<(), Unavailable> {
    Ok(())
}

/// Where these threads are.
///
/// # Errors
/// Always.
pub(in crate::internal) fn of(_: &[i32], _: Duration) -> Result<Vec<Captured>, Unavailable> {
    Err(unavailable())
}

#[cfg(not(target_os = "macos"))]
pub(in crate::internal) use none::Sampler;

#[cfg(not(target_os = "macos"))]
mod none {
    use super::{super::Stack, Unavailable, unavailable};

    /// A timer that there is not.
    pub(in crate::internal) enum Sampler {}

    impl Sampler {
        /// # Errors
        /// Always.
        pub(in crate::internal) fn start(_: u32) -> Result<Self, Unavailable> {
            Err(unavailable())
        }

        pub(in crate::internal) fn drain(&mut self, _: impl FnMut(&str, Stack, i64)) {
            match *self {}
        }

        pub(in crate::internal) fn lost(&self) -> u64 {
            match *self {}
        }
    }
}
