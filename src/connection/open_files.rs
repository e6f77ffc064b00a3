//! The limit of open files: raised at start, and shared out between clients and what must always have files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are neither connections of clients nor of the store: listeners, the log, timers, exporters, profiles.
const BASE_FILES: u64 = 128;

/// The limit of open files of this process.
#[derive(Debug, Clone, Copy)]
pub struct OpenFiles {
    limit: u64,
}

impl OpenFiles {
    /// Raises the soft limit to the hard one, as the runtimes of Go and Java do. The soft limit of systemd, 1024, exists
    /// for programs that use `select`.
    #[must_use]
    pub fn raise() -> Self {
        let limits = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
        let limits = setrlimit(Resource::Nofile, raised).map_or(limits, |()| raised);
        Self { limit: limits.current.unwrap_or(u64::MAX) }
    }

    /// The limit after it was raised.
    #[must_use]
    pub const fn limit(self) -> u64 {
        self.limit
    }

    /// How many connections clients may have beside `reserved` files; none where the limit leaves no file to them.
    #[must_use]
    pub fn connections_left(self, reserved: u64) -> Option<u32> {
        let left = self.limit.saturating_sub(reserved.saturating_add(BASE_FILES));
        u32::try_from(left).ok().or(Some(u32::MAX)).filter(|left| *left > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{BASE_FILES, OpenFiles};

    #[test]
    fn connections_get_the_files_that_are_not_reserved() {
        let files = |limit| OpenFiles { limit };
        assert_eq!(files(1024).connections_left(300), Some(1024 - 300 - 128));
        assert_eq!(files(300 + BASE_FILES).connections_left(300), None);
        assert_eq!(files(10).connections_left(300), None);
        assert_eq!(files(u64::MAX).connections_left(300), Some(u32::MAX));
    }

    #[test]
    fn limit_is_at_least_what_it_was() {
        let before = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(OpenFiles::raise().limit() >= before);
    }
}
