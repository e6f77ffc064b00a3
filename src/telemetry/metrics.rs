//! The registry and the families in it: every one from the catalogue, every one capped, duration histograms with exemplars.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto::{self, MetricFamily},
};

use super::{
    catalog::{self, Kind, Metric},
    exemplar::{Exemplar, Exemplars},
    native::{NativeHistogram, Snapshot},
    series::Series,
};

/// One process's metrics. Cheap to clone; clones share the registry.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    /// What the registry holds, for whoever wants one family and not all.
    collectors: Mutex<Vec<Arc<dyn Collector>>>,
    recording: bool,
    max_series: usize,
    series: prometheus::IntGaugeVec,
    overflow: IntCounterVec,
    native: bool,
    started: SystemTime,
    families: Mutex<HashMap<&'static str, Family>>,
    target: OnceLock<BTreeMap<String, String>>,
}

/// The families that are written to, for what the registry does not keep of their series.
#[derive(Clone)]
enum Family {
    Counter(Arc<Series<prometheus::IntCounter>>),
    Histogram(Arc<Series<Observed>>),
}

impl Family {
    fn metric(&self) -> &'static Metric {
        match self {
            Self::Counter(series) => series.metric(),
            Self::Histogram(series) => series.metric(),
        }
    }

    fn created(&self, labels: &[&str]) -> Option<SystemTime> {
        match self {
            Self::Counter(series) => series.created(labels),
            Self::Histogram(series) => series.created(labels),
        }
    }
}

/// A histogram's series, with the newest exemplar of each bucket.
struct Observed {
    histogram: prometheus::Histogram,
    native: Option<NativeHistogram>,
    exemplars: Exemplars,
}

impl Metrics {
    /// An empty registry, in which each family holds at most `max_series` series.
    #[must_use]
    pub fn new(max_series: usize) -> Self {
        Self::with(max_series, true)
    }

    /// The same, before its first family is made, with native histograms beside the classic ones.
    ///
    /// # Panics
    /// If it has clones already.
    #[must_use]
    pub fn with_native_histograms(mut self) -> Self {
        Arc::get_mut(&mut self.0).expect("a registry without clones").native = true;
        self
    }

    /// A registry whose families stay as they began: what `OTEL_SDK_DISABLED` asks for. What is read only when
    /// somebody asks, such as the process's memory, is still told.
    #[must_use]
    pub fn silent(max_series: usize) -> Self {
        Self::with(max_series, false)
    }

    fn with(max_series: usize, recording: bool) -> Self {
        let series =
            prometheus::IntGaugeVec::new(opts(&catalog::METRIC_SERIES), catalog::METRIC_SERIES.labels).expect(VALID);
        let overflow =
            IntCounterVec::new(opts(&catalog::METRIC_SERIES_OVERFLOW), catalog::METRIC_SERIES_OVERFLOW.labels)
                .expect(VALID);
        let metrics = Self(Arc::new(Inner {
            registry: Registry::new(),
            collectors: Mutex::default(),
            recording,
            max_series,
            series,
            overflow,
            native: false,
            started: now(),
            families: Mutex::default(),
            target: OnceLock::new(),
        }));
        metrics.register(metrics.0.series.clone());
        metrics.register(metrics.0.overflow.clone());
        metrics
    }

    /// A counter, to be found in the registry under that name. Each family is made once.
    ///
    /// # Panics
    /// If the name is taken: a bug that the first start shows.
    #[must_use]
    pub fn counter(&self, metric: &'static Metric) -> Counter {
        let vec = IntCounterVec::new(opts(metric), metric.labels).expect(VALID);
        self.register(vec.clone());
        let family = Arc::new(self.family(metric, move |labels| vec.with_label_values(labels)));
        self.families().insert(metric.name, Family::Counter(Arc::clone(&family)));
        Counter(family)
    }

    /// A gauge; otherwise as [`Metrics::counter`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    pub fn gauge(&self, metric: &'static Metric) -> Gauge {
        let vec = prometheus::GaugeVec::new(opts(metric), metric.labels).expect(VALID);
        self.register(vec.clone());
        Gauge(Arc::new(self.family(metric, move |labels| vec.with_label_values(labels))))
    }

    /// A histogram with the catalogue's buckets; otherwise as [`Metrics::counter`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    pub fn histogram(&self, metric: &'static Metric) -> Histogram {
        let Kind::Histogram(buckets) = metric.kind else { unreachable!("{} is no histogram", metric.name) };
        let options = HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec());
        let vec = HistogramVec::new(options, metric.labels).expect(VALID);
        self.register(vec.clone());
        let native = self.0.native;
        let family = self.family(metric, move |labels| Observed {
            histogram: vec.with_label_values(labels),
            native: native.then(NativeHistogram::new),
            exemplars: Exemplars::new(buckets),
        });
        let family = Arc::new(family);
        self.families().insert(metric.name, Family::Histogram(Arc::clone(&family)));
        Histogram(family)
    }

    /// Adds a collector whose values are read when somebody asks.
    ///
    /// # Panics
    /// If a name is taken.
    pub fn register(&self, collector: impl Collector + 'static) {
        let collector: Arc<dyn Collector> = Arc::new(collector);
        self.0.registry.register(Box::new(Shared(Arc::clone(&collector)))).expect("each family is made once");
        self.0.collectors.lock().unwrap_or_else(PoisonError::into_inner).push(collector);
    }

    /// Every collector that was registered.
    pub(super) fn collectors(&self) -> &Mutex<Vec<Arc<dyn Collector>>> {
        &self.0.collectors
    }

    /// Whether anything is counted and observed: not with `OTEL_SDK_DISABLED`.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.0.recording
    }

    /// Everything there is, by name.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.0.registry.gather()
    }

    /// Says whose metrics these are, as resource attributes; the first word counts.
    pub(super) fn belong_to(&self, attributes: BTreeMap<String, String>) {
        self.0.target.get_or_init(|| attributes);
    }

    /// Whose metrics these are, if that was said.
    pub(super) fn target(&self) -> Option<&BTreeMap<String, String>> {
        self.0.target.get()
    }

    /// The newest exemplar of each bucket of one series, the last for `+Inf`; none if there is no such series.
    pub(super) fn exemplars(&self, family: &str, labels: &[&str]) -> Vec<Option<Exemplar>> {
        self.observed(family, labels).map(|series| series.exemplars.newest()).unwrap_or_default()
    }

    /// The native histogram of one series, where they are kept.
    pub(super) fn native(&self, family: &str, labels: &[&str]) -> Option<Snapshot> {
        self.observed(family, labels)?.native.as_ref().map(NativeHistogram::snapshot)
    }

    /// The classic histogram of one series, read now.
    pub(super) fn classic(&self, family: &str, labels: &[&str]) -> Option<proto::Histogram> {
        let metric = prometheus::core::Metric::metric(&self.observed(family, labels)?.histogram);
        Some(metric.get_histogram().clone())
    }

    /// When this registry was made.
    pub(super) fn started(&self) -> SystemTime {
        self.0.started
    }

    /// When a series of a counter or histogram began; none for those that are read from elsewhere.
    pub(super) fn created(&self, family: &str, labels: &[&str]) -> Option<SystemTime> {
        self.families().get(family)?.created(labels)
    }

    /// A counter's or histogram's label names in the catalogue's order.
    pub(super) fn label_names(&self, family: &str) -> &'static [&'static str] {
        self.families().get(family).map_or(&[], |family| family.metric().labels)
    }

    fn observed(&self, family: &str, labels: &[&str]) -> Option<Arc<Observed>> {
        match self.families().get(family) {
            Some(Family::Histogram(series)) => series.find(labels),
            _ => None,
        }
    }

    fn families(&self) -> MutexGuard<'_, HashMap<&'static str, Family>> {
        self.0.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn family<T>(&self, metric: &'static Metric, make: impl Fn(&[&str]) -> T + Send + Sync + 'static) -> Series<T> {
        let series = Series::new(
            metric,
            self.0.recording,
            self.0.max_series,
            self.0.series.with_label_values(&[metric.name]),
            self.0.overflow.with_label_values(&[metric.name]),
            make,
        );
        if metric.labels.is_empty() {
            series.with(&[], |_| {});
        }
        series
    }
}

#[expect(clippy::disallowed_methods, reason = "the start of a registry is no business of the domain's clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// A collector that the registry is not the only owner of.
struct Shared(Arc<dyn Collector>);

impl Collector for Shared {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}

/// A sample's label values in the order of these names: the registry sorts labels by name.
pub(super) fn label_values<'a>(names: &[&str], labels: &'a [proto::LabelPair]) -> Vec<&'a str> {
    let value_of = |name: &&str| labels.iter().find(|label| label.name() == *name).map_or("", proto::LabelPair::value);
    names.iter().map(value_of).collect()
}

const VALID: &str = "the catalogue's names and labels are valid: a test registers each";

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Counts what happened. Label values are given in the catalogue's order.
#[derive(Clone)]
pub struct Counter(Arc<Series<prometheus::IntCounter>>);

impl Counter {
    /// One more.
    pub fn inc(&self, labels: &[&str]) {
        self.add(labels, 1);
    }

    /// Some more; 0 makes the series appear, so that its first increase is seen.
    pub fn add(&self, labels: &[&str], count: u64) {
        if count == 0 || self.0.is_recording() {
            self.0.with(labels, |counter| counter.inc_by(count));
        }
    }
}

/// What goes up and down.
#[derive(Clone)]
pub struct Gauge(Arc<Series<prometheus::Gauge>>);

impl Gauge {
    /// From now on it is this.
    pub fn set(&self, labels: &[&str], value: f64) {
        self.0.with(labels, |gauge| gauge.set(value));
    }

    /// One more until the guard is dropped.
    #[must_use]
    pub fn hold(&self, labels: &[&str]) -> Held {
        let gauge = self.0.is_recording().then(|| self.0.with(labels, Arc::clone));
        if let Some(gauge) = &gauge {
            gauge.inc();
        }
        Held(gauge)
    }
}

/// Keeps a gauge one higher while it lives.
pub struct Held(Option<Arc<prometheus::Gauge>>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(gauge) = &self.0 {
            gauge.dec();
        }
    }
}

/// How values spread over the catalogue's buckets.
#[derive(Clone)]
pub struct Histogram(Arc<Series<Observed>>);

impl Histogram {
    /// One value. If the current trace is sampled, it becomes the exemplar of the value's bucket.
    pub fn observe(&self, labels: &[&str], value: f64) {
        if self.0.is_recording() {
            self.observe_in(labels, value, super::traces::current_sampled());
        }
    }

    /// One value with the trace that it belongs to, for whoever is no longer inside of it.
    pub fn observe_in(&self, labels: &[&str], value: f64, trace: Option<super::SpanIds>) {
        if !self.0.is_recording() {
            return;
        }
        self.0.with(labels, |series| {
            // Before the native one: a scrape reads them in the other order.
            series.histogram.observe(value);
            if let Some(native) = &series.native {
                native.observe(value);
            }
            if let Some(trace) = trace {
                series.exemplars.remember(value, trace);
            }
        });
    }

    /// Makes the series appear before its first value.
    pub fn appear(&self, labels: &[&str]) {
        self.0.with(labels, |_| {});
    }
}
