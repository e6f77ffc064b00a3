//! What the operating system says of this process.
//!
//! The `prometheus` crate's own collector rounds CPU time to whole seconds, which makes a rate over a minute useless.
//! Families whose file below `/proc` cannot be read are left out, and one warning names them: a hardened sandbox may hide
//! `/proc`, and alerts on these families cannot fire then.

use std::{
    fs, io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::SystemTime,
};

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

/// Registers the families of the process, which are read at each scrape.
pub(super) fn register(metrics: &Metrics) {
    metrics.register(Process::new("/proc/self"));
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

/// A source of some families, which may be hidden.
struct Source {
    path: PathBuf,
    families: &'static [&'static Metric],
    is_reported: AtomicBool,
}

impl Source {
    fn new(path: impl Into<PathBuf>, families: &'static [&'static Metric]) -> Self {
        Self { path: path.into(), families, is_reported: AtomicBool::new(false) }
    }

    /// Returns whether the source was read. Logs a warning when it cannot be read for the first time, or again.
    fn check(&self, read: io::Result<()>) -> bool {
        match read {
            Ok(()) => self.is_reported.store(false, Relaxed),
            Err(error) if !self.is_reported.swap(true, Relaxed) => {
                let names: Vec<_> = self.families.iter().map(|metric| metric.name).collect();
                tracing::warn!(
                    target: "glasshouse::telemetry",
                    { error.message = %error },
                    "{} cannot be read, these metrics are missing: {}", self.path.display(), names.join(", ")
                );
            }
            Err(_) => {}
        }
        !self.is_reported.load(Relaxed)
    }
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
    stat: Source,
    fds: Source,
    limits: Source,
}

impl Process {
    /// Reads below `proc`, which is `/proc/self` outside of tests.
    fn new(proc: &str) -> Self {
        const STAT: &[&Metric] = &[
            &catalog::PROCESS_CPU,
            &catalog::PROCESS_RESIDENT_MEMORY,
            &catalog::PROCESS_VIRTUAL_MEMORY,
            &catalog::PROCESS_THREADS,
        ];
        Self {
            cpu: Counter::with_opts(opts(&catalog::PROCESS_CPU)).expect(VALID),
            resident: gauge(&catalog::PROCESS_RESIDENT_MEMORY),
            virtual_memory: gauge(&catalog::PROCESS_VIRTUAL_MEMORY),
            memory_limit: gauge(&catalog::PROCESS_MEMORY_LIMIT),
            open_fds: gauge(&catalog::PROCESS_OPEN_FDS),
            max_fds: gauge(&catalog::PROCESS_MAX_FDS),
            threads: gauge(&catalog::PROCESS_THREADS),
            start_time: gauge(&catalog::PROCESS_START_TIME),
            started: seconds_since_epoch(),
            stat: Source::new(format!("{proc}/stat"), STAT),
            fds: Source::new(format!("{proc}/fd"), &[&catalog::PROCESS_OPEN_FDS]),
            limits: Source::new("/proc/meminfo", &[&catalog::PROCESS_MEMORY_LIMIT]),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floats, and no process has 2^52 of anything here")]
    fn read_stat(&self) -> io::Result<()> {
        let stat = fs::read_to_string(&self.stat.path)?;
        // The name in parentheses may hold anything, also parentheses; after it the fields are numbers. See proc(5).
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap_or_default().1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let all = (|| Some([field(14)? + field(15)?, field(20)?, field(23)?, field(24)?]))();
        let [spent, threads, virtual_memory, pages] = all.ok_or(io::ErrorKind::InvalidData)?;
        let spent = spent as f64 / rustix::param::clock_ticks_per_second() as f64;
        // Only ever more: a counter that is set back would look like a restart.
        self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
        self.threads.set(threads as f64);
        self.virtual_memory.set(virtual_memory as f64);
        self.resident.set(pages as f64 * rustix::param::page_size() as f64);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "no process has 2^52 files")]
    fn read_open_fds(&self) -> io::Result<()> {
        self.open_fds.set(fs::read_dir(&self.fds.path)?.count() as f64);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^52 bytes")]
    fn read_memory_limit(&self) -> io::Result<()> {
        self.memory_limit.set(memory_limit().ok_or(io::ErrorKind::NotFound)? as f64);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "no process may open 2^52 files")]
    fn read_max_fds(&self) {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        self.max_fds.set(limit.map_or(f64::INFINITY, |limit| limit as f64));
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let Self { cpu, resident, virtual_memory, memory_limit, open_fds, max_fds, threads, start_time, .. } = self;
        let parts: [&dyn Collector; 8] =
            [cpu, resident, virtual_memory, memory_limit, open_fds, max_fds, threads, start_time];
        parts.into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.start_time.set(self.started);
        self.read_max_fds();
        let mut parts: Vec<&dyn Collector> = vec![&self.max_fds, &self.start_time];
        if self.stat.check(self.read_stat()) {
            parts.extend::<[&dyn Collector; 4]>([&self.cpu, &self.resident, &self.virtual_memory, &self.threads]);
        }
        if self.fds.check(self.read_open_fds()) {
            parts.push(&self.open_fds);
        }
        if self.limits.check(self.read_memory_limit()) {
            parts.push(&self.memory_limit);
        }
        parts.into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{
        io,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
    };

    use prometheus::core::Collector as _;
    use tracing::{Event, Subscriber, subscriber::with_default};
    use tracing_subscriber::{
        Layer,
        layer::{Context, SubscriberExt},
        registry,
    };

    use super::{Process, Source, catalog};

    fn names(process: &Process) -> Vec<String> {
        process.collect().iter().map(|family| family.name().to_owned()).collect()
    }

    /// Counts the events that are logged.
    struct Counted(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Counted {
        fn on_event(&self, _event: &Event<'_>, _context: Context<'_, S>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn process_metrics_are_complete_where_proc_is_readable() {
        assert_eq!(names(&Process::new("/proc/self")).len(), 8);
    }

    #[test]
    fn process_metrics_that_need_no_proc_stay_where_proc_is_empty() {
        let kept = ["process_max_fds", "process_start_time_seconds", "process_memory_limit_bytes"];
        assert_eq!(names(&Process::new("/nonexistent")), kept);
    }

    #[test]
    fn hidden_source_of_metrics_is_logged_once_until_it_is_readable_again() {
        let events = Arc::new(AtomicUsize::new(0));
        let source = Source::new("/nonexistent", &[&catalog::PROCESS_OPEN_FDS]);
        let check = |readable: bool| source.check(if readable { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) });
        with_default(registry().with(Counted(Arc::clone(&events))), || {
            assert_eq!([check(false), check(false), check(true)], [false, false, true]);
            assert_eq!(events.load(SeqCst), 1);
            assert_eq!([check(false), check(true)], [false, true]);
            assert_eq!(events.load(SeqCst), 2);
        });
    }
}
