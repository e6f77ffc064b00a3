//! What jemalloc is asked and told about sampling.

use tikv_jemalloc_ctl::{Access, AsName, Error, epoch, stats};

use super::dump::Dump;

/// Why there can be no sampling in this process, if there can be none; in words.
pub(super) fn lacking() -> Option<Lacking> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Some(Lacking::Platform);
    }
    let profiles: bool = b"opt.prof\0".name().read().unwrap_or(false);
    (!profiles).then_some(Lacking::Option)
}

/// Why there is no sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::internal) enum Lacking {
    /// jemalloc keeps the name of its configuration to itself on macOS, and crashes when it samples under musl.
    #[error("heap sampling works only on Linux with the GNU C library, and this was built for another platform")]
    Platform,
    /// Somebody has taken it away.
    #[error("heap sampling was taken away when the process started: MALLOC_CONF in its environment says prof:false")]
    Option,
}

/// Whether allocations are sampled now.
pub(super) fn is_active() -> bool {
    b"prof.active\0".name().read().unwrap_or(false)
}

/// From now on they are, or are not.
///
/// # Errors
/// When jemalloc refuses, in words.
pub(super) fn set_active(active: bool) -> Result<(), String> {
    b"prof.active\0".name().write(active).map_err(in_words)
}

/// Forgets what was sampled, and gives the memory of it back.
///
/// # Errors
/// When jemalloc refuses, in words.
pub(super) fn forget() -> Result<(), String> {
    let interval: Result<usize, Error> = b"prof.lg_sample\0".name().read();
    interval.and_then(|interval| b"prof.reset\0".name().write(interval)).map_err(in_words)
}

fn in_words(error: Error) -> String {
    format!("jemalloc refuses: {error}")
}

/// How many bytes lie between two samples, on average.
pub(super) fn interval() -> u64 {
    let bits: usize = b"prof.lg_sample\0".name().read().unwrap_or_default();
    u32::try_from(bits).ok().and_then(|bits| 1_u64.checked_shl(bits)).unwrap_or_default()
}

/// How many bytes are allocated, and how many of memory that takes.
pub(super) fn size() -> Option<(usize, usize)> {
    // The numbers are a snapshot that has to be asked for.
    epoch::advance().ok()?;
    Some((stats::allocated::read().ok()?, stats::resident::read().ok()?))
}

/// Everything sampled, as it is now. Blocks; allocations of other threads that are to be sampled wait meanwhile.
///
/// # Errors
/// When jemalloc cannot write it, or what it writes cannot be read, in words.
#[cfg(target_os = "linux")]
pub(super) fn dump() -> Result<Dump, String> {
    use std::{
        ffi::CString,
        fs::File,
        io::BufReader,
        os::fd::{AsRawFd, OwnedFd},
    };

    use rustix::{
        fs::{MemfdFlags, memfd_create},
        io::Errno,
    };
    use tikv_jemalloc_ctl::raw;

    // jemalloc writes to a path and nowhere else. This one is of a file in memory: it needs no folder that can be
    // written, nobody else can open it, and it is gone with its last descriptor, however this ends.
    let flags = MemfdFlags::CLOEXEC;
    let file: OwnedFd = memfd_create("heap", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|error| if error == Errno::INVAL { memfd_create("heap", flags) } else { Err(error) })
        .map_err(|error| format!("the system gives no file in memory for the profile: {error}"))?;
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("there is no zero in a number");
    #[expect(unsafe_code, reason = "the safe way takes only texts that live as long as the process")]
    // SAFETY: jemalloc documents `prof.dump` as taking a pointer to C text, and reads it before it returns.
    let written = unsafe { raw::write(b"prof.dump\0", path.as_ptr()) };
    written.map_err(|error| {
        format!("jemalloc cannot write the profile to /proc/self/fd, which may be hidden in this container: {error}")
    })?;
    // jemalloc has written through a description of its own; this one still stands at the beginning.
    Dump::read(BufReader::new(File::from(file))).map_err(|error| format!("the profile cannot be read: {error}"))
}

/// See above.
#[cfg(not(target_os = "linux"))]
pub(super) fn dump() -> Result<Dump, String> {
    Err(Lacking::Platform.to_string())
}
