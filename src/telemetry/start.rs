//! Putting logs, traces and metrics together, and sending the last of them at the end.

use std::{future::Future, io::Write, thread, time::Duration};

use opentelemetry::{InstrumentationScope, trace::TracerProvider};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{logs::SdkLoggerProvider, trace::SdkTracerProvider};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use secrecy::ExposeSecret;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};
use tracing::{Dispatch, Metadata, subscriber::Interest};
use tracing_subscriber::{Layer, Registry, filter::dynamic_filter_fn, fmt, layer::SubscriberExt};

use super::{
    Config, LogFilter, LogFormat, Metrics, Redactor, Tracer, allocator, build,
    console::Recorder,
    export::{self, ExportError, Outage},
    follow::Followers,
    lines::Lines,
    listening,
    log_format::{JsonLine, LogLine},
    panics, process, traces,
};

/// Everything that the service says of itself goes through here.
pub struct Telemetry {
    /// The registry and the families in it.
    pub metrics: Metrics,
    /// Makes spans.
    pub tracer: Tracer,
    /// Which events are logged.
    pub log_filter: LogFilter,
    /// Records tasks for tokio-console.
    pub console: Recorder,
    /// Lets live requests be followed.
    pub followers: Followers,
    /// Lets exports fail.
    pub outage: Outage,
    dispatch: Dispatch,
    lines: Lines,
    spans: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
    exported_metrics: Option<export::MetricsExporter>,
}

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The filter cannot be read.
    #[error("the log filter cannot be read: {0}")]
    LogFilter(String),
    /// The system gives no thread for the log.
    #[error("the log's thread cannot be started")]
    LogThread(#[source] std::io::Error),
    /// An exporter cannot be built.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Where log lines go.
pub struct Output {
    /// Written by one thread, a line at a time.
    pub writer: Box<dyn Write + Send>,
    /// Whether somebody sits before it.
    pub is_terminal: bool,
}

impl Telemetry {
    /// Starts it. Exporters do their network work on `exporting`, which must not be the runtime that serves requests.
    ///
    /// Nothing is logged until the result is made the default, for the process ([`Telemetry::make_global`]) or for
    /// some threads ([`Telemetry::dispatch`]).
    ///
    /// # Errors
    /// As [`StartError`] says.
    pub fn start(config: &Config, output: Output, exporting: &Handle) -> Result<Self, StartError> {
        let metrics =
            if config.recording { Metrics::new(config.max_series) } else { Metrics::silent(config.max_series) };
        let exponential = config.metrics.as_ref().is_some_and(|export| export.exponential);
        let metrics = if config.native_histograms || exponential { metrics.with_native_histograms() } else { metrics };
        metrics.belong_to(config.attributes());
        build::register(&metrics);
        process::register(&metrics);
        listening::register(&metrics);
        allocator::register(&metrics);
        panics::install(&metrics);

        let redactor = Redactor::new(config.secrets.iter().map(ExposeSecret::expose_secret));
        let outage = Outage::default();
        let (spans, logs, exported_metrics) = {
            let _runtime = exporting.enter();
            (
                export::tracer_provider(config, &outage, &redactor, &metrics)?,
                export::logger_provider(config, &outage, &redactor, &metrics)?,
                export::metrics_exporter(config, &outage, &redactor, &metrics)?,
            )
        };
        let scope = InstrumentationScope::builder("glasshouse")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA_URL)
            .build();
        let sdk = spans.as_ref().map(|provider| provider.tracer_with_scope(scope));
        let tracer = Tracer::new(sdk.clone(), config.sampler, config.trust_remote_sampling);

        let pretty = match config.log_format {
            LogFormat::Auto => output.is_terminal,
            LogFormat::Json => false,
            LogFormat::Pretty => true,
        };
        let lines =
            Lines::start(output.writer, config.log_queue, redactor.clone(), &metrics).map_err(StartError::LogThread)?;
        let (log_filter, written, exported) =
            LogFilter::new(&config.log_filter, logs.is_some(), &metrics).map_err(StartError::LogFilter)?;
        let json = JsonLine::new(&config.attributes());
        let log = fmt::layer()
            .event_format(LogLine::new(pretty, json.clone(), &metrics))
            .with_ansi(output.is_terminal && config.log_color)
            .with_writer(lines.clone())
            .with_filter(written);
        // A list and no `Option`s or `Identity` for what is not exported: a layer without a filter enables every callsite, so
        // that tokio, h2 and hyper would build spans that no layer reads; and `and_then` on a bare registry takes the
        // outermost layer's level for that of all.
        let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![log.boxed()];
        layers.extend(sdk.map(|sdk| {
            let layer = tracing_opentelemetry::layer()
                .with_tracer(sdk)
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false);
            // Evaluated for each span of this service: no span is built in a trace that is not sampled.
            let sampled =
                dynamic_filter_fn(|metadata, _| is_own_span(metadata) && traces::current_sampled().is_some())
                    .with_callsite_filter(|metadata| {
                        if is_own_span(metadata) { Interest::sometimes() } else { Interest::never() }
                    });
            layer.with_filter(sampled).boxed()
        }));
        let exported = logs.as_ref().zip(exported);
        layers.extend(exported.map(|(logs, filter)| OpenTelemetryTracingBridge::new(logs).with_filter(filter).boxed()));
        let (followers, console) = (Followers::new(json, redactor, &metrics), Recorder::new(&metrics));
        let subscriber = tracing_subscriber::registry().with(layers).with(followers.layer()).with(console.layer());
        let dispatch = Dispatch::new(subscriber);
        Ok(Self {
            metrics,
            tracer,
            log_filter,
            console,
            followers,
            outage,
            dispatch,
            lines,
            spans,
            logs,
            exported_metrics,
        })
    }

    /// What this process logs from now on goes here.
    ///
    /// # Errors
    /// When something has claimed that place before.
    pub fn make_global(&self) -> Result<(), tracing::dispatcher::SetGlobalDefaultError> {
        tracing::dispatcher::set_global_default(self.dispatch.clone())
    }

    /// For threads that log here while the rest of the process logs elsewhere: tests that run several services.
    #[must_use]
    pub const fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Sends the last spans, log records and metrics, at most for `budget`, and says whether all arrived. What ends after this
    /// is not exported any more. Must not run on the runtime that exports.
    pub async fn flush(&self, budget: Duration) -> bool {
        // Side by side: one collector that hangs must not eat the other's time. `shutdown` waits for the SDK's own
        // threads and may wait longer than it is told to; what is not done within the budget is given up.
        let (spans, logs) = (self.spans.clone(), self.logs.clone());
        let spans = within(budget, move || spans.is_none_or(|spans| spans.shutdown_with_timeout(budget).is_ok()));
        let logs = within(budget, move || logs.is_none_or(|logs| logs.shutdown_with_timeout(budget).is_ok()));
        let metrics = self.exported_metrics.clone();
        let metrics = within(budget, move || metrics.is_none_or(|metrics| metrics.shutdown(budget)));
        let (spans, logs, metrics) = tokio::join!(spans, logs, metrics);
        spans && logs && metrics
    }
}

/// Returns whether the callsite is a span of this service.
fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("glasshouse")
}

impl Drop for Telemetry {
    /// Writes the lines that still wait, however the process ends, also by a panic of the main thread: the last of
    /// them say why. Blocks, but not for long.
    fn drop(&mut self) {
        self.lines.flush(LAST_LINES);
    }
}

/// How long a reader of the log that is stuck may hold up the end.
const LAST_LINES: Duration = Duration::from_millis(250);

/// Begins the work on a thread of its own; the result waits for it, until the budget is over.
fn within(budget: Duration, work: impl FnOnce() -> bool + Send + 'static) -> impl Future<Output = bool> {
    let (done, result) = oneshot::channel();
    let started = thread::Builder::new().name("flush".to_owned()).spawn(move || done.send(work()).ok());
    let result = timeout(budget, result);
    async move { started.is_ok() && matches!(result.await, Ok(Ok(true))) }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io::{self, Write},
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tracing::{
        Callsite, Dispatch, Level, Metadata, callsite::rebuild_interest_cache, dispatcher::with_default, metadata::Kind,
    };

    use super::{Output, Telemetry};
    use crate::telemetry::{BatchedExport, Config, Export, LogFormat, Protocol, Sampler, Tls};

    #[derive(Clone, Default)]
    struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for SharedBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn export(signal: &str) -> BatchedExport {
        let export = Export {
            endpoint: format!("http://127.0.0.1:1/v1/{signal}").parse().expect("a URL"),
            protocol: Protocol::HttpProtobuf,
            headers: Vec::new(),
            tls: Tls::default(),
            gzip: false,
            timeout: Duration::from_secs(1),
        };
        BatchedExport { export, queue: 8, batch: 8, delay: Duration::from_secs(1) }
    }

    fn config(traces: Option<BatchedExport>, logs: Option<BatchedExport>) -> Config {
        Config {
            service_name: "glasshouse".to_owned(),
            resource: BTreeMap::new(),
            recording: true,
            log_filter: "info".to_owned(),
            log_format: LogFormat::Json,
            log_color: false,
            log_queue: 8,
            traces,
            logs,
            metrics: None,
            sampler: Sampler { parent_based: true, ratio: 1.0 },
            trust_remote_sampling: false,
            force_trace_token: None,
            max_series: 8,
            native_histograms: false,
            secrets: Vec::new(),
        }
    }

    /// Metadata as the macros of `tracing` make it in another crate.
    macro_rules! callsite {
        ($kind:ident, $target:literal, $level:ident) => {
            tracing::callsite! {
                name: "test", kind: Kind::$kind, target: $target, level: Level::$level, fields:
            }
            .metadata()
        };
    }

    /// Callsites that have no reader in a service whose console and followers are idle.
    fn unread_callsites() -> Vec<&'static Metadata<'static>> {
        vec![
            callsite!(SPAN, "tokio::task", TRACE),
            callsite!(SPAN, "tokio::time::sleep", TRACE),
            callsite!(EVENT, "runtime::resource::poll_op", TRACE),
            callsite!(SPAN, "h2::proto::connection", DEBUG),
            callsite!(SPAN, "h2::hpack", ERROR),
            callsite!(EVENT, "h2::codec::framed_read", TRACE),
            callsite!(SPAN, "hyper_util::server", INFO),
            callsite!(EVENT, "hyper::proto::h1", DEBUG),
            callsite!(SPAN, "sqlx::query", INFO),
            callsite!(EVENT, "glasshouse::http", DEBUG),
        ]
    }

    fn enabled(dispatch: &Dispatch, callsites: &[&'static Metadata<'static>]) -> Vec<String> {
        let enabled = callsites.iter().filter(|metadata| !dispatch.register_callsite(metadata).is_never());
        enabled.map(|metadata| format!("{metadata:?}")).collect()
    }

    #[test]
    fn callsites_without_reader_are_disabled() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        for (traces, logs) in [(false, false), (true, false), (false, true), (true, true)] {
            let config = config(traces.then(|| export("traces")), logs.then(|| export("logs")));
            let written = SharedBuffer::default();
            let output = Output { writer: Box::new(written.clone()), is_terminal: false };
            let telemetry = Telemetry::start(&config, output, runtime.handle()).expect("telemetry starts");
            let dispatch = telemetry.dispatch();
            let unread = enabled(dispatch, &unread_callsites());
            assert!(unread.is_empty(), "traces {traces}, logs {logs}: {unread:#?}");

            let own = callsite!(SPAN, "glasshouse::domain", INFO);
            assert_eq!(enabled(dispatch, &[own]).len(), usize::from(traces), "traces {traces}, logs {logs}");
            let line = callsite!(EVENT, "glasshouse::http", INFO);
            assert_eq!(enabled(dispatch, &[line]).len(), 1, "traces {traces}, logs {logs}");

            telemetry.log_filter.set("trace").expect("a filter");
            let events = unread_callsites().into_iter().filter(|metadata| metadata.is_event()).count();
            assert_eq!(enabled(dispatch, &unread_callsites()).len(), events, "traces {traces}, logs {logs}");
            telemetry.log_filter.restore().expect("a filter");
            assert!(enabled(dispatch, &unread_callsites()).is_empty(), "traces {traces}, logs {logs}");

            // The level of the whole subscriber is checked before any callsite.
            with_default(dispatch, || {
                // With one dispatcher in the process, callsites ask the default one whether they are enabled.
                rebuild_interest_cache();
                tracing::info!(target: "glasshouse::http", "line");
            });
            drop(telemetry);
            let text = String::from_utf8(written.0.lock().expect("no panic").clone()).expect("text");
            assert!(text.contains("\"message\":\"line\""), "traces {traces}, logs {logs}: {text}");
        }
    }
}
