//! What jemalloc says of the memory it has given out.

use prometheus::{
    Gauge, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tikv_jemalloc_ctl::{Access, AsName, epoch, stats};

use super::{
    Metrics,
    catalog::{self, Metric},
};

/// Reports the allocator whenever somebody asks.
pub(super) fn register(metrics: &Metrics) {
    let gauge = |metric: &Metric| Gauge::with_opts(Opts::new(metric.name, metric.help)).expect("the name is valid");
    metrics.register(Allocator {
        allocated: gauge(&catalog::JEMALLOC_ALLOCATED),
        active: gauge(&catalog::JEMALLOC_ACTIVE),
        resident: gauge(&catalog::JEMALLOC_RESIDENT),
        retained: gauge(&catalog::JEMALLOC_RETAINED),
        sampling: gauge(&catalog::HEAP_SAMPLING),
    });
}

/// What the program has allocated and not freed, at this moment; nothing where the allocator does not say.
#[must_use]
pub fn allocated_bytes() -> Option<u64> {
    epoch::advance().ok()?;
    u64::try_from(stats::allocated::read().ok()?).ok()
}

/// Runs this without sampling its allocations, so that heap profiles show the service and not its profiler. Allocations
/// that were sampled before, or on other threads, stay in the profiles.
pub fn unsampled<T>(work: impl FnOnce() -> T) -> T {
    let _restore = Sampling(set_sampled(false));
    work()
}

const IS_SAMPLED: &[u8] = b"thread.prof.active\0";

/// Whether this thread's allocations were sampled before. Nothing where jemalloc cannot sample.
struct Sampling(Option<bool>);

impl Drop for Sampling {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            set_sampled(before);
        }
    }
}

fn set_sampled(is_sampled: bool) -> Option<bool> {
    let before = IS_SAMPLED.name().read().ok()?;
    IS_SAMPLED.name().write(is_sampled).ok()?;
    Some(before)
}

struct Allocator {
    allocated: Gauge,
    active: Gauge,
    resident: Gauge,
    retained: Gauge,
    sampling: Gauge,
}

impl Allocator {
    const fn parts(&self) -> [&Gauge; 5] {
        [&self.allocated, &self.active, &self.resident, &self.retained, &self.sampling]
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floats, and no machine has 2^52 bytes")]
    fn read(&self) -> Result<(), tikv_jemalloc_ctl::Error> {
        // The numbers are a snapshot that has to be asked for.
        epoch::advance()?;
        self.allocated.set(stats::allocated::read()? as f64);
        self.active.set(stats::active::read()? as f64);
        self.resident.set(stats::resident::read()? as f64);
        self.retained.set(stats::retained::read()? as f64);
        let sampling: bool = b"prof.active\0".name().read()?;
        self.sampling.set(f64::from(u8::from(sampling)));
        Ok(())
    }
}

impl Collector for Allocator {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Without its statistics jemalloc still allocates; stale numbers would be worse than none.
        match self.read() {
            Ok(()) => self.parts().into_iter().flat_map(Collector::collect).collect(),
            Err(_) => Vec::new(),
        }
    }
}
