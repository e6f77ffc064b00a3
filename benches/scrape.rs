//! What a scrape costs: CPU time of the thread that writes a page with every series of a busy instance, in each format,
//! with and without compression, and how long the page is.
//!
//! CPU time is read from `/proc/thread-self/schedstat`, so that other work on the machine counts little.
#![expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]

use std::{fs, hint::black_box, io::Write};

use flate2::{Compression, write::GzEncoder};
use glasshouse::telemetry::{
    Counter, Exposition, Gauge, Histogram, Metrics,
    catalog::{self, Kind, Metric},
};

/// Rounds for each figure; the median of them is printed.
const ROUNDS: usize = 9;
/// Pages in each round: the kernel updates a thread's CPU time a few hundred times a second only.
const PAGES: u32 = 200;

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn main() {
    // `cargo test --benches` runs this too; only `cargo bench` wants the measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let metrics = busy();
    println!("{:<14} {:>10} {:>12} {:>10} {:>12}", "format", "bytes", "CPU µs", "gzip", "CPU µs, both");
    for format in Exposition::ALL {
        let (page, plain) = measured(|| format.write(&metrics));
        let (compressed, both) = measured(|| gzip(&format.write(&metrics)));
        println!(
            "{:<14} {:>10} {plain:>12.0} {:>10} {both:>12.0}",
            format!("{format:?}"),
            page.len(),
            compressed.len()
        );
    }
}

/// The last result, and the median CPU time of one in microseconds.
fn measured<T>(act: impl Fn() -> T) -> (T, f64) {
    let mut spent: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let before = on_cpu();
            (0..PAGES).for_each(|_| drop(black_box(act())));
            (on_cpu() - before) / 1e3 / f64::from(PAGES)
        })
        .collect();
    spent.sort_by(f64::total_cmp);
    (act(), spent[ROUNDS / 2])
}

/// As the internal port compresses a page.
fn gzip(page: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(page).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// CPU time of this thread, in nanoseconds.
fn on_cpu() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).expect("a number") as f64
}

/// A registry with as many series as an instance has whose every route and statement was asked, and failed, too.
fn busy() -> Metrics {
    let metrics = Metrics::new(1000);
    for &metric in catalog::METRICS {
        let series = match metric.labels {
            [] => 1,
            ["http_request_method", "http_route", "http_response_status_code", ..] => 48,
            ["http_request_method", "http_route"] | ["http_route"] => 12,
            ["db_system_name", ..] => 38,
            _ => 4,
        };
        // The registry made these two itself.
        if [catalog::METRIC_SERIES.name, catalog::METRIC_SERIES_OVERFLOW.name].contains(&metric.name) {
            continue;
        }
        let family = Family::new(&metrics, metric);
        for index in 0..series {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("{label}/{index}")).collect();
            family.act(&labels.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    metrics
}

enum Family {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Family {
    fn new(metrics: &Metrics, metric: &'static Metric) -> Self {
        match metric.kind {
            Kind::Counter => Self::Counter(metrics.counter(metric)),
            Kind::Gauge => Self::Gauge(metrics.gauge(metric)),
            Kind::Histogram(_) => Self::Histogram(metrics.histogram(metric)),
        }
    }

    /// Gives one series of the family values as an hour of traffic would.
    fn act(&self, labels: &[&str]) {
        match self {
            Self::Counter(counter) => counter.add(labels, 12_345),
            Self::Gauge(gauge) => gauge.set(labels, 1_234_567.0),
            Self::Histogram(histogram) => (0..10_000_u32).for_each(|index| {
                histogram.observe_in(labels, f64::from(index % 100) * f64::from(index % 7) / 1e3, None);
            }),
        }
    }
}
