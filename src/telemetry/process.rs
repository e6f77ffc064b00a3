//! What the operating system says of this process.
//!
//! The `prometheus` crate's own collector rounds CPU time to whole seconds, which makes a rate over a minute useless.
//! Where there is no `/proc`, only what is known everywhere is reported: when the process started.

use std::{fs, time::SystemTime};

use prometheus::{
    Counter, Gauge, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{
    Metrics,
    catalog::{self, Metric},
    memory_limit::memory_limit,
};

/// Reports the process whenever somebody asks.
pub(super) fn register(metrics: &Metrics) {
    metrics.register(Process {
        cpu: Counter::with_opts(opts(&catalog::PROCESS_CPU)).expect(VALID),
        resident: gauge(&catalog::PROCESS_RESIDENT_MEMORY),
        virtual_memory: gauge(&catalog::PROCESS_VIRTUAL_MEMORY),
        memory_limit: gauge(&catalog::PROCESS_MEMORY_LIMIT),
        open_fds: gauge(&catalog::PROCESS_OPEN_FDS),
        max_fds: gauge(&catalog::PROCESS_MAX_FDS),
        threads: gauge(&catalog::PROCESS_THREADS),
        start_time: gauge(&catalog::PROCESS_START_TIME),
        started: seconds_since_epoch(),
    });
}

const VALID: &str = "the catalogue's names are valid: a test registers each";

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn gauge(metric: &Metric) -> Gauge {
    Gauge::with_opts(opts(metric)).expect(VALID)
}

#[expect(clippy::disallowed_methods, reason = "when the process started is no business of the domain's clock")]
fn seconds_since_epoch() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

struct Process {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    memory_limit: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    start_time: Gauge,
    /// When this was made: microseconds after the process itself, and known on every system.
    started: f64,
}

impl Process {
    fn parts(&self) -> [&dyn Collector; 8] {
        let Self { cpu, resident, virtual_memory, memory_limit, open_fds, max_fds, threads, start_time, .. } = self;
        [cpu, resident, virtual_memory, memory_limit, open_fds, max_fds, threads, start_time]
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floats, and no process has 2^52 of anything here")]
    fn read(&self) -> Option<()> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name in parentheses may hold anything, also parentheses; after it the fields are numbers. See proc(5).
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let (user, system) = (field(14)?, field(15)?);
        let spent = (user + system) as f64 / rustix::param::clock_ticks_per_second() as f64;
        // Only ever more: a counter that is set back would look like a restart.
        self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
        self.threads.set(field(20)? as f64);
        self.virtual_memory.set(field(23)? as f64);
        self.resident.set(field(24)? as f64 * rustix::param::page_size() as f64);
        self.memory_limit.set(memory_limit().map_or(f64::INFINITY, |limit| limit as f64));
        self.open_fds.set(fs::read_dir("/proc/self/fd").ok()?.count() as f64);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        self.max_fds.set(limit.map_or(f64::INFINITY, |limit| limit as f64));
        Some(())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.start_time.set(self.started);
        if self.read().is_none() {
            return self.start_time.collect();
        }
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}
