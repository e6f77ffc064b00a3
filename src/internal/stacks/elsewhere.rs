//! Where nobody has told us what a signal's frame looks like.

use std::time::Duration;

use super::{Captured, Stack, Unavailable};

fn unavailable() -> Unavailable {
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    Unavailable(format!("stacks are captured on Linux, on x86-64 and aarch64, and this is {system} on {processor}"))
}

/// Where these threads are.
///
/// # Errors
/// Always.
pub(in crate::internal) fn of(_: &[i32], _: Duration) -> Result<Vec<Captured>, Unavailable> {
    Err(unavailable())
}

/// The number of a thread, since its name cannot be had.
pub(in crate::internal) fn thread_name(tid: i32) -> String {
    tid.to_string()
}

/// A timer that there is not.
pub(in crate::internal) enum Sampler {}

impl Sampler {
    /// # Errors
    /// Always.
    pub(in crate::internal) fn start(_: u32) -> Result<Self, Unavailable> {
        Err(unavailable())
    }

    pub(in crate::internal) fn drain(&mut self, _: impl FnMut(i32, Stack)) {
        match *self {}
    }

    pub(in crate::internal) fn stop(&self) {
        match *self {}
    }

    pub(in crate::internal) fn lost(&self) -> u64 {
        match *self {}
    }
}
