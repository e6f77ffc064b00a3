//! What the threads of this process execute, seen from outside: a signal makes each of them write down its own stack.
//!
//! The signal's code copies registers and the top of the stack into memory that is there already, and does nothing
//! else: no lock, no allocation, no library. What the copy means is found out later and on another thread, by whoever
//! asked. So a stack can be had of any thread that still takes signals, whatever it is in the middle of.

#[cfg(target_os = "macos")]
mod borrowed;
#[cfg(not(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64"))))]
mod elsewhere;
#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64")))]
mod signal;

#[cfg(target_os = "macos")]
pub(super) use borrowed::Sampler;
#[cfg(not(any(
    target_os = "macos",
    all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64"))
)))]
pub(super) use elsewhere::Sampler;
#[cfg(not(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64"))))]
pub(super) use elsewhere::{install_handler, of};
#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64")))]
pub(super) use signal::{Sampler, install_handler, of};

/// A thread, and where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Captured {
    /// As the system numbers it (`gettid`).
    pub(super) tid: i32,
    /// Where it was; none if it did not answer in time, or has ended.
    pub(super) stack: Option<Stack>,
}

/// Where a thread was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Stack {
    /// From the innermost function outwards, each *inside* the instruction meant, as `telemetry::symbols` wants them:
    /// the program counter as it is, and of the callers the return address minus one. Never empty.
    pub(super) addresses: Vec<usize>,
    /// Whether the outermost frames are missing, since the stack is larger than what is looked at.
    pub(super) cut: bool,
}

/// Why no stack can be captured in this process, in words. Asking again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unavailable(pub(super) String);
