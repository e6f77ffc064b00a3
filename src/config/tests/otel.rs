//! OpenTelemetry's standard variables: what they do, and what is said of those that do nothing.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::with;
use crate::telemetry::{Protocol, Sampler};

#[test]
fn a_base_endpoint_gets_the_path_of_the_signal_and_an_own_one_is_taken_as_it_is() {
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    const INSECURE: (&str, &str) = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    for (variables, expected) in [
        (vec![(BASE, "http://c:4318")], "http://c:4318/v1/traces"),
        (vec![(BASE, "http://c:4318/base/")], "http://c:4318/base/v1/traces"),
        (vec![(OWN, "http://c:4318")], "http://c:4318/"),
        (vec![(OWN, "http://c:4318/mine"), (BASE, "http://d")], "http://c:4318/mine"),
        (vec![(BASE, "https://c:4317"), (PROTOCOL, "grpc")], "https://c:4317/"),
        (vec![(BASE, "c:4317"), (PROTOCOL, "grpc")], "https://c:4317/"),
        (vec![(BASE, "c:4317"), (PROTOCOL, "grpc"), INSECURE], "http://c:4317/"),
    ] {
        let traces = with(&variables).settings().telemetry.traces.expect("an endpoint");
        assert_eq!(traces.endpoint.as_str(), expected, "{variables:?}");
    }
}

#[test]
fn exports_are_as_the_standard_variables_say() {
    let settings = with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20hush"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "3000"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "2000"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=a%20b"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ])
    .settings();
    let telemetry = &settings.telemetry;
    let (traces, logs) = (telemetry.traces.as_ref().expect("traces"), telemetry.logs.as_ref().expect("logs"));
    assert_eq!((traces.protocol, logs.protocol), (Protocol::Grpc, Protocol::HttpProtobuf));
    assert_eq!((traces.headers[0].0.as_str(), traces.headers[0].1.expose_secret()), ("authorization", "Bearer hush"));
    assert_eq!((traces.gzip, logs.gzip), (true, false));
    assert_eq!((traces.timeout, logs.timeout), (Duration::from_secs(3), Duration::from_secs(5)));
    assert_eq!((traces.queue, logs.queue, traces.batch, traces.delay), (8192, 2000, 1024, Duration::from_secs(1)));
    assert_eq!(telemetry.service_name, "other");
    assert_eq!(telemetry.resource["deployment.environment.name"], "a b");
    assert_eq!(telemetry.sampler, Sampler { parent_based: false, ratio: 0.25 });
}

#[test]
fn nothing_is_exported_unless_asked() {
    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    assert!(with(&[ENDPOINT]).settings().telemetry.logs.is_none());
    for off in [("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "none")] {
        assert!(with(&[ENDPOINT, off]).settings().telemetry.traces.is_none(), "{off:?}");
    }
}

#[test]
fn standard_variables_without_effect_are_named_in_one_warning() {
    let warnings = with(&[
        ("OTEL_LOG_LEVEL", "debug"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_PROPAGATORS", "b3,tracecontext"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "a.pem"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "500"),
    ])
    .settings()
    .warnings;
    let [_, warning] = warnings.as_slice() else { panic!("two warnings and not {warnings:?}") };
    for name in ["LOG_LEVEL", "METRICS_EXPORTER", "PROPAGATORS", "METRICS_CERTIFICATE", "SAMPLER_ARG", "LOGS_EXPORTER"]
    {
        assert!(warning.contains(name), "{name}: {warning}");
    }
    assert!(!warning.contains("OTEL_BSP"), "{warning}");
}

#[test]
fn what_would_weaken_tls_if_ignored_stops_the_start() {
    for name in [
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE",
    ] {
        assert!(with(&[(name, "a.pem")]).fault().starts_with(name));
    }
}
