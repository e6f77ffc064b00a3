//! What a process holds, as it tells itself, and by how much each may be more than before.

/// What is looked at, and what of it may remain when everything is over.
pub(crate) struct Limit {
    name: &'static str,
    series: &'static str,
    /// What is shown as one.
    unit: f64,
    most: f64,
    /// Whether nothing of it may be there when nobody asks anything.
    unused: bool,
}

const MIB: f64 = 1024.0 * 1024.0;

/// A leak of one for each request or fault is far beyond these within minutes. Connections to the database are closed
/// when they have been idle for long, so some files more may be open than before.
pub(crate) const LIMITS: [Limit; 6] = [
    limit("tasks", "tokio_runtime_alive_tasks{runtime=\"main\"}", 1.0, 4.0),
    limit("heap MiB", "jemalloc_allocated_bytes", MIB, 8.0),
    // The allocator gives back what was freed when it likes; each password that is hashed takes 19 MiB.
    limit("resident MiB", "process_resident_memory_bytes", MIB, 64.0),
    limit("files", "process_open_fds", 1.0, 10.0),
    limit("clients", "glasshouse_http_connections", 1.0, 0.0),
    Limit { unused: true, ..limit("queries", USED, 1.0, 0.0) },
];

const USED: &str =
    "db_client_connections{db_client_connection_pool_name=\"postgresql\",db_client_connection_state=\"used\"}";

const fn limit(name: &'static str, series: &'static str, unit: f64, most: f64) -> Limit {
    Limit { name, series, unit, most, unused: false }
}

impl Limit {
    /// As in: at most … more than before.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.most, self.name)
    }
}

/// How much of each there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held([f64; LIMITS.len()]);

impl Held {
    /// As a page of metrics has it; none if one of them is not there.
    pub(crate) fn read(page: &str) -> Option<Self> {
        let mut held = [0.0; LIMITS.len()];
        for (limit, value) in LIMITS.iter().zip(&mut held) {
            let found = page.lines().find_map(|line| line.strip_prefix(limit.series)?.strip_prefix(' ')?.parse().ok());
            *value = found.map(|found: f64| found / limit.unit)?;
        }
        Some(Self(held))
    }

    /// What there is more of than may be.
    pub(crate) fn grown_since(self, before: Self) -> Vec<String> {
        let all = LIMITS.iter().zip(self.0.into_iter().zip(before.0));
        let grown = all.filter(|(limit, (now, before))| now - before > limit.most);
        grown.map(|(limit, (now, before))| format!("{}: {now:.1}, and {before:.1} before", limit.name)).collect()
    }

    /// Whether nothing is under way.
    pub(crate) fn is_unused(self) -> bool {
        LIMITS.iter().zip(self.0).all(|(limit, value)| !limit.unused || value == 0.0)
    }

    pub(crate) fn heading() -> String {
        LIMITS.map(|limit| format!("{:>13}", limit.name)).concat()
    }

    pub(crate) fn row(self) -> String {
        self.0.map(|value| format!("{value:>13.1}")).concat()
    }
}
