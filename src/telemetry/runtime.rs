//! What tokio says of a runtime.

use std::time::Duration;

use prometheus::{
    Counter, Gauge, Opts,
    core::{Collector, Desc},
    proto::{Bucket, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType},
};
use tokio::runtime::{Builder, Handle, HistogramConfiguration, LogHistogram, RuntimeMetrics};

use super::{
    Metrics,
    catalog::{self, Metric},
};

/// Has a runtime measure how long each poll takes: a fifth bucket for each doubling would cost more than it tells.
pub fn measure_polls(builder: &mut Builder) -> &mut Builder {
    let buckets = LogHistogram::builder()
        .min_value(Duration::from_micros(16))
        .max_value(Duration::from_secs(4))
        .precision_exact(0)
        .max_buckets(24)
        .expect("the range fits");
    builder
        .enable_metrics_poll_time_histogram()
        .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(buckets))
}

/// Reports the runtimes whenever somebody asks, each under its name.
pub fn register(metrics: &Metrics, runtimes: Vec<(&'static str, Handle)>) {
    let poll = &catalog::TOKIO_POLL_DURATION;
    let runtimes = runtimes
        .into_iter()
        .map(|(name, handle)| One {
            name,
            metrics: handle.metrics(),
            gauges: GAUGES.map(|(metric, read)| (Gauge::with_opts(opts(metric, name)).expect(VALID), read)),
            busy: Counter::with_opts(opts(&catalog::TOKIO_WORKER_BUSY, name)).expect(VALID),
        })
        .collect();
    let polls = Desc::new(poll.name.to_owned(), poll.help.to_owned(), vec!["runtime".to_owned()], [].into());
    metrics.register(Runtimes { runtimes, polls: polls.expect(VALID) });
}

const VALID: &str = "the catalogue's names are valid: a test registers each";

fn opts(metric: &Metric, runtime: &str) -> Opts {
    Opts::new(metric.name, metric.help).const_label("runtime", runtime)
}

type Read = fn(&RuntimeMetrics) -> usize;

const GAUGES: [(&Metric, Read); 5] = [
    (&catalog::TOKIO_ALIVE_TASKS, RuntimeMetrics::num_alive_tasks),
    (&catalog::TOKIO_GLOBAL_QUEUE_DEPTH, RuntimeMetrics::global_queue_depth),
    (&catalog::TOKIO_BLOCKING_QUEUE_DEPTH, RuntimeMetrics::blocking_queue_depth),
    (&catalog::TOKIO_BLOCKING_THREADS, RuntimeMetrics::num_blocking_threads),
    (&catalog::TOKIO_WORKERS, RuntimeMetrics::num_workers),
];

struct Runtimes {
    runtimes: Vec<One>,
    polls: Desc,
}

struct One {
    name: &'static str,
    metrics: RuntimeMetrics,
    gauges: [(Gauge, Read); GAUGES.len()],
    busy: Counter,
}

impl One {
    #[expect(clippy::cast_precision_loss, reason = "metrics are floats, and no runtime has 2^52 tasks")]
    fn read(&self) {
        for (gauge, read) in &self.gauges {
            gauge.set(read(&self.metrics) as f64);
        }
        let workers = 0..self.metrics.num_workers();
        let busy: Duration = workers.map(|worker| self.metrics.worker_total_busy_duration(worker)).sum();
        // Workers are read one after the other, so the sum may seem to fall by a hair.
        self.busy.inc_by((busy.as_secs_f64() - self.busy.get()).max(0.0));
    }

    /// Tokio counts polls by bucket but does not add up their times: the sum is the workers' busy time, which is
    /// polling and little else.
    fn polls(&self) -> Option<Sample> {
        if !self.metrics.poll_time_histogram_enabled() {
            return None;
        }
        let mut histogram = Histogram::default();
        let mut bounded = Vec::new();
        let mut seen = 0;
        let buckets = self.metrics.poll_time_histogram_num_buckets();
        for bucket in 0..buckets {
            let workers = 0..self.metrics.num_workers();
            seen += workers.map(|worker| self.metrics.poll_time_histogram_bucket_count(worker, bucket)).sum::<u64>();
            // The last bucket has no upper bound: it is what `+Inf` says.
            if bucket + 1 < buckets {
                let mut below = Bucket::default();
                below.set_cumulative_count(seen);
                below.set_upper_bound(self.metrics.poll_time_histogram_bucket_range(bucket).end.as_secs_f64());
                bounded.push(below);
            }
        }
        histogram.set_bucket(bounded);
        histogram.set_sample_count(seen);
        histogram.set_sample_sum(self.busy.get());
        let mut sample = Sample::default();
        let mut label = LabelPair::default();
        label.set_name("runtime".to_owned());
        label.set_value(self.name.to_owned());
        sample.set_label(vec![label]);
        sample.set_histogram(histogram);
        Some(sample)
    }
}

impl Collector for Runtimes {
    fn desc(&self) -> Vec<&Desc> {
        let parts = self.runtimes.iter().flat_map(|one| {
            let gauges = one.gauges.iter().flat_map(|(gauge, _)| gauge.desc());
            gauges.chain(one.busy.desc())
        });
        parts.chain([&self.polls]).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        for one in &self.runtimes {
            one.read();
            families.extend(one.gauges.iter().flat_map(|(gauge, _)| gauge.collect()));
            families.extend(one.busy.collect());
        }
        let mut polls = MetricFamily::default();
        polls.set_name(catalog::TOKIO_POLL_DURATION.name.to_owned());
        polls.set_help(catalog::TOKIO_POLL_DURATION.help.to_owned());
        polls.set_field_type(MetricType::HISTOGRAM);
        polls.set_metric(self.runtimes.iter().filter_map(One::polls).collect());
        families.push(polls);
        families
    }
}
