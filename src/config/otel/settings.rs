//! The standard variables that are honoured.

use crate::config::{setting::Setting, shape::Shape};

const PROTOCOLS: Shape = Shape::Choice(&["grpc", "http/protobuf"]);
const COMPRESSIONS: Shape = Shape::Choice(&["gzip", "none"]);
const TIMEOUT: Shape = Shape::Milliseconds { min: 1, max: 600_000 };
const COUNT: Shape = Shape::Whole { min: 1, max: 131_072 };
const EXPORTERS: Shape = Shape::Choice(&["otlp", "none"]);

const fn setting(name: &'static str, shape: Shape, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, variable: None, shape, default, meaning }
}

const INSTEAD_FOR_TRACES: &str = "The same for traces only.";
const INSTEAD_FOR_LOGS: &str = "The same for logs only.";
const INSTEAD_FOR_METRICS: &str = "The same for metrics only.";

pub(in crate::config) const SETTINGS: &[Setting] = &[
    setting(
        "OTEL_SERVICE_NAME",
        Shape::Text,
        "glasshouse",
        "service.name of everything that is said; before the one in OTEL_RESOURCE_ATTRIBUTES.",
    ),
    setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        Shape::Pairs,
        "",
        "Further resource attributes: deployment.environment.name=staging. service.version is the build's and \
         service.instance.id a new UUID at each start unless they are given here.",
    ),
    setting(
        "OTEL_SDK_DISABLED",
        Shape::Flag,
        "false",
        "Whether nothing is recorded or exported: no span, no metric, no log record. Lines on stdout are still written.",
    ),
    setting(
        "OTEL_PROPAGATORS",
        Shape::Words,
        "tracecontext",
        "How a trace is carried from caller to callee: by tracecontext, and by nothing else.",
    ),
    setting("OTEL_TRACES_EXPORTER", EXPORTERS, "otlp", "Whether traces are exported, if there is an endpoint."),
    setting(
        "OTEL_LOGS_EXPORTER",
        EXPORTERS,
        "none",
        "Whether logs are exported, if there is an endpoint; they go to stdout in any case.",
    ),
    setting(
        "OTEL_METRICS_EXPORTER",
        Shape::Choice(&["otlp", "none", "prometheus"]),
        "none",
        "Whether metrics are exported, if there is an endpoint; they are scraped at /metrics on the internal port in any \
         case.",
    ),
    setting(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        Shape::Choice(&["cumulative", "delta", "lowmemory"]),
        "cumulative",
        "What exported counts begin with: the start of the process, the export before, or that only for what the \
         process counts itself.",
    ),
    setting(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        Shape::Choice(&["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]),
        "explicit_bucket_histogram",
        "Which buckets exported histograms have: those of /metrics, or exponential ones that are 9 % wide.",
    ),
    setting("OTEL_METRIC_EXPORT_INTERVAL", TIMEOUT, "60000", "How long from one export of metrics to the next."),
    setting(
        "OTEL_METRIC_EXPORT_TIMEOUT",
        TIMEOUT,
        "30000",
        "How long one export may take; the shorter of this and OTEL_EXPORTER_OTLP_TIMEOUT counts.",
    ),
    setting(
        "OTEL_TRACES_SAMPLER",
        Shape::Choice(&[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ]),
        "parentbased_always_on",
        "Which requests are traced; whether a caller's decision counts is telemetry.trust_remote_sampling.",
    ),
    setting("OTEL_TRACES_SAMPLER_ARG", Shape::Ratio, "1", "The share that the two traceidratio samplers keep."),
    setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        Shape::Endpoint,
        "",
        "The collector's base URL. Nothing is exported without one.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Shape::Endpoint, "", "The whole URL for traces."),
    setting("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", Shape::Endpoint, "", "The whole URL for logs."),
    setting("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", Shape::Endpoint, "", "The whole URL for metrics."),
    setting("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOLS, "http/protobuf", "How the collector is spoken to."),
    setting("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOLS, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", PROTOCOLS, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", PROTOCOLS, "", INSTEAD_FOR_METRICS),
    setting("OTEL_EXPORTER_OTLP_HEADERS", Shape::Headers, "", "Sent with each export, such as credentials."),
    setting(
        "OTEL_EXPORTER_OTLP_HEADERS_FILE",
        Shape::Path,
        "",
        "A file with the headers instead of OTEL_EXPORTER_OTLP_HEADERS. It is not of the standard.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_HEADERS", Shape::Headers, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_HEADERS", Shape::Headers, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_METRICS_HEADERS", Shape::Headers, "", INSTEAD_FOR_METRICS),
    setting("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT, "10000", "How long one export may take."),
    setting("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", TIMEOUT, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", TIMEOUT, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", TIMEOUT, "", INSTEAD_FOR_METRICS),
    setting("OTEL_EXPORTER_OTLP_COMPRESSION", COMPRESSIONS, "none", "Whether exports are compressed."),
    setting("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", COMPRESSIONS, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", COMPRESSIONS, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", COMPRESSIONS, "", INSTEAD_FOR_METRICS),
    setting(
        "OTEL_EXPORTER_OTLP_INSECURE",
        Shape::Flag,
        "false",
        "Whether a grpc endpoint without a scheme is spoken to without TLS.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_INSECURE", Shape::Flag, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_INSECURE", Shape::Flag, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_METRICS_INSECURE", Shape::Flag, "", INSTEAD_FOR_METRICS),
    setting(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        Shape::Path,
        "",
        "PEM of the authorities that sign the collector's certificate. Without it: the system's authorities for \
         http/protobuf, the public ones that are built in for grpc.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_METRICS),
    setting(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        Shape::Path,
        "",
        "PEM of the certificate that the collector is shown; with it OTEL_EXPORTER_OTLP_CLIENT_KEY.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_METRICS),
    setting("OTEL_EXPORTER_OTLP_CLIENT_KEY", Shape::Path, "", "PEM of the key of that certificate."),
    setting("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", Shape::Path, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", Shape::Path, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", Shape::Path, "", INSTEAD_FOR_METRICS),
    setting("OTEL_BSP_SCHEDULE_DELAY", TIMEOUT, "1000", "How long a span waits for company."),
    setting(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        COUNT,
        "8192",
        "How many spans wait for export; beyond it they are dropped and counted.",
    ),
    setting("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", COUNT, "1024", "How many spans one export has at most."),
    setting(
        "OTEL_BSP_EXPORT_TIMEOUT",
        TIMEOUT,
        "30000",
        "How long one export may take; the shorter of this and OTEL_EXPORTER_OTLP_TIMEOUT counts.",
    ),
    setting("OTEL_BLRP_SCHEDULE_DELAY", TIMEOUT, "1000", "How long a log record waits for company."),
    setting(
        "OTEL_BLRP_MAX_QUEUE_SIZE",
        COUNT,
        "8192",
        "How many log records wait for export; beyond it they are dropped and counted.",
    ),
    setting("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", COUNT, "1024", "How many log records one export has at most."),
    setting(
        "OTEL_BLRP_EXPORT_TIMEOUT",
        TIMEOUT,
        "30000",
        "How long one export may take; the shorter of this and OTEL_EXPORTER_OTLP_TIMEOUT counts.",
    ),
    setting("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", COUNT, "128", "How many attributes a span keeps."),
    setting("OTEL_SPAN_EVENT_COUNT_LIMIT", COUNT, "128", "How many events a span keeps."),
    setting("OTEL_SPAN_LINK_COUNT_LIMIT", COUNT, "128", "How many links a span keeps."),
];
