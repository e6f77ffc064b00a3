//! How much memory the process may take before somebody is killed for it.
//!
//! A control group's limit holds for everything below it, so each group on the way up to the root counts. In a
//! container the path may be the host's while only the container's own groups are there: what is not there sets no
//! limit. Without a group there may be a limit of the process itself, as systemd's `LimitDATA=` and `ulimit -d` set it:
//! beyond it memory is refused, which ends this process as surely.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// The smallest limit that holds, in bytes: a control group's, of either version, the process's, or the machine's
/// memory.
pub(super) fn memory_limit() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let of_groups = files(&groups).iter().filter_map(|file| limit(&read(file)?)).min();
    let of_machine = read("/proc/meminfo").and_then(|memory| total(&memory));
    let of_process = getrlimit(Resource::Data).current;
    of_groups.into_iter().chain(of_process).chain(of_machine).min()
}

/// How many bytes this process can still take before it reaches that limit. Other processes in the same control group are
/// not counted.
pub(super) fn memory_left() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(memory_limit()?.saturating_sub(in_use(&status)?))
}

/// What the kernel cannot take back from the process, from `/proc/self/status`: pages of mapped files can be read again.
fn in_use(status: &str) -> Option<u64> {
    Some(kibibytes(status, "RssAnon:")? + kibibytes(status, "RssShmem:")?)
}

/// The files that may hold a limit, from what `/proc/self/cgroup` says.
fn files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        // `0::/path` is version 2, `4:memory:/path` version 1; see cgroups(7).
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        // A group outside of what this process may see is told as `/..`, and leads nowhere from here.
        let steps: Vec<&str> = path.split('/').filter(|step| !matches!(*step, "" | "." | "..")).collect();
        for depth in (0..=steps.len()).rev() {
            let group: String = steps[..depth].iter().flat_map(|step| ["/", step]).collect();
            files.push(format!("{root}{group}/{name}"));
        }
    }
    files
}

/// A file's limit; `max` is none. Version 1 says "none" with a number that is larger than any memory.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(memory: &str) -> Option<u64> {
    kibibytes(memory, "MemTotal:")
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::{files, in_use, limit, memory_left, memory_limit, total};

    #[test]
    fn every_group_up_to_the_root_may_limit() {
        assert_eq!(
            files("0::/system.slice/glasshouse.service\n"),
            [
                "/sys/fs/cgroup/system.slice/glasshouse.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        let first = "5:cpu,cpuacct:/docker/1\n4:hugetlb,memory:/docker/1\n1:name=systemd:/docker/1\n";
        assert_eq!(
            files(first),
            [
                "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
        );
        assert_eq!(files("0::/../../a:b\n"), ["/sys/fs/cgroup/a:b/memory.max", "/sys/fs/cgroup/memory.max"]);
        assert_eq!(files("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert_eq!(files("rubbish\n0:\n\n"), Vec::<String>::new());
    }

    #[test]
    fn a_limit_is_a_number_or_there_is_none() {
        assert_eq!(limit("536870912\n"), Some(536_870_912));
        assert_eq!(limit("9223372036854771712\n"), Some(9_223_372_036_854_771_712));
        assert_eq!((limit("max\n"), limit(""), limit("-1")), (None, None, None));
    }

    #[test]
    fn the_machine_has_what_it_says() {
        let memory = "MemFree:  1 kB\nMemTotal:       16316412 kB\nMemAvailable:  2 kB\n";
        assert_eq!(total(memory), Some(16_316_412 * 1024));
        assert_eq!(
            (total("MemTotal: many kB"), total("MemTotal: 18446744073709551615 kB"), total("")),
            (None, None, None)
        );
    }

    #[test]
    fn memory_in_use_leaves_out_pages_of_files() {
        let status = "VmRSS:\t   99 kB\nRssAnon:\t   20 kB\nRssFile:\t  70 kB\nRssShmem:\t    9 kB\n";
        assert_eq!((in_use(status), in_use("VmRSS: 1 kB")), (Some(29 * 1024), None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_left_is_less_than_the_limit() {
        assert!(memory_left() < memory_limit());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn here_is_a_limit_and_the_machine_has_no_less() {
        let limit = memory_limit().expect("the system tells");
        let memory = std::fs::read_to_string("/proc/meminfo").expect("the system tells");
        assert!((1 << 20..=total(&memory).expect("a number")).contains(&limit), "{limit}");
    }
}
