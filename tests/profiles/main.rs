//! Finding the guilty code from the internal port: what is measured of the whole process, in a process of its own.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64")))]
mod abuse;
#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64")))]
mod addresses;
#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64")))]
mod cpu;
mod decoded;
mod go;
mod guilty;
mod heap;
mod index;
#[path = "../process/program.rs"]
#[allow(dead_code, reason = "shared with tests/process, which needs more of it")]
mod program;
#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64")))]
mod reading;
#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64")))]
mod soak;
mod stalls;
#[path = "../service/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "shared with tests/service, which needs more of it")]
mod support;
mod tasks;
mod tasks_under_load;
#[path = "../clients/tool.rs"]
#[allow(dead_code, reason = "shared with tests/clients, which needs more of it")]
mod tool;
mod trace;

use support::canaries;
