//! Stacks by SIGPROF, on Linux.
//!
//! Two may want them at the same time, and do not disturb each other: a timer, for whatever burns the CPU, and
//! whoever asks certain threads. The handler is installed once and stays: a signal that is late never meets the default
//! action, which is to end the process.

mod asked;
mod claim;
mod interrupt;
mod modules;
mod slot;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod tests;
mod timer;
mod unwind;

use std::{fs, sync::atomic};

pub(in crate::internal) use asked::of;
pub(in crate::internal) use interrupt::install_handler;
pub(in crate::internal) use timer::Sampler;

/// The name of a thread of this process, at most 15 octets; its number where it has ended.
fn thread_name(tid: i32) -> String {
    let name = fs::read(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
    if name.is_empty() { tid.to_string() } else { name }
}
