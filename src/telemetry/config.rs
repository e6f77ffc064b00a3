//! The settings of logs, traces and metrics.

use std::{collections::BTreeMap, fmt, time::Duration};

use secrecy::SecretString;
use url::Url;

/// Settings of what the service says of itself: `[log]`, `[telemetry]` and the standard `OTEL_*` variables.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Config {
    /// `service.name` of everything that is said.
    pub service_name: String,
    /// Further resource attributes, with `service.version` and `service.instance.id` among them.
    pub resource: BTreeMap<String, String>,
    /// Whether metrics are recorded: not with `OTEL_SDK_DISABLED`.
    pub recording: bool,
    /// Which events are logged, as an `EnvFilter`: `info`, `info,glasshouse=debug`.
    pub log_filter: String,
    /// How lines look.
    pub log_format: LogFormat,
    /// Whether lines on a terminal have colors.
    pub log_color: bool,
    /// How many lines wait for the writer; beyond it they are dropped and counted.
    pub log_queue: usize,
    /// Where spans go; none switches traces off.
    pub traces: Option<BatchedExport>,
    /// Where logs go beside stdout.
    pub logs: Option<BatchedExport>,
    /// Where metrics go beside `/metrics`.
    pub metrics: Option<MetricsExport>,
    /// Which requests are traced.
    pub sampler: Sampler,
    /// Whether a stranger's sampling flag is believed.
    pub trust_remote_sampling: bool,
    /// Whoever sends this as `X-Force-Trace` has that one request traced.
    pub force_trace_token: Option<SecretString>,
    /// How many series one metric may have; beyond it label values fold into `_overflow`.
    pub max_series: usize,
    /// Whether histograms also count in exponential buckets.
    pub native_histograms: bool,
    /// Every secret of the settings: replaced wherever a line or an exported item would show one.
    pub secrets: Vec<SecretString>,
}

impl Config {
    /// The resource: what every span, log record and number of this process belongs to.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = self.resource.clone();
        attributes.insert("service.name".to_owned(), self.service_name.clone());
        attributes
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One object a line.
    Json,
    /// For people.
    Pretty,
}

/// Where one signal is exported to.
#[derive(Clone)]
pub struct Export {
    /// gRPC: the collector's base URL. HTTP: the whole URL, such as with `/v1/traces`. Without user and password.
    pub endpoint: Url,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Sent with each export; may hold credentials.
    pub headers: Vec<(String, SecretString)>,
    /// Which server is trusted, and what it is shown; for `https`.
    pub tls: Tls,
    /// Whether bodies are compressed with gzip.
    pub gzip: bool,
    /// How long one export may take.
    pub timeout: Duration,
}

/// An export of items that wait in a queue.
#[derive(Debug, Clone)]
pub struct BatchedExport {
    /// Where they are sent.
    pub export: Export,
    /// How many items wait for export; beyond it they are dropped and counted.
    pub queue: usize,
    /// How many items one export has at most.
    pub batch: usize,
    /// How long an item waits for company.
    pub delay: Duration,
}

/// An export of all metrics at regular intervals.
#[derive(Debug, Clone)]
pub struct MetricsExport {
    /// Where they are sent.
    pub export: Export,
    /// From one export to the next: `OTEL_METRIC_EXPORT_INTERVAL`.
    pub interval: Duration,
    /// What counters and histograms count from.
    pub temporality: Temporality,
    /// Whether histograms are sent with exponential buckets instead of the catalogue's.
    pub exponential: bool,
}

/// What an exported count begins with: `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporality {
    /// The start of the process.
    Cumulative,
    /// The export before.
    Delta,
    /// The export before; the start of the process for counts that the process reads elsewhere, such as CPU time.
    LowMemory,
}

/// Without the URL: a password may be in it.
impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Export(…)")
    }
}

/// The certificates of one export.
#[derive(Clone, Default)]
pub struct Tls {
    /// PEM of the authorities that may have signed the server's certificate; without them, the public ones.
    pub ca: Option<Vec<u8>>,
    /// PEM of the client's certificate and of its key.
    pub identity: Option<(Vec<u8>, SecretString)>,
}

/// How a collector is spoken to: `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    HttpProtobuf,
}

/// Which requests are traced: `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a parent's decision is followed: the `parentbased_` samplers.
    pub parent_based: bool,
    /// Which share of traces without such a parent is kept: 0.0 (`always_off`) to 1.0 (`always_on`).
    pub ratio: f64,
}
