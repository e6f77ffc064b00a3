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
