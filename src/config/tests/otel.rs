//! OpenTelemetry's standard variables: what they do, and what is said of those that do nothing.

use std::{process::Command, time::Duration};

use secrecy::ExposeSecret;
use tempfile::TempDir;

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
        assert_eq!(traces.export.endpoint.as_str(), expected, "{variables:?}");
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
    assert_eq!((traces.queue, logs.queue, traces.batch, traces.delay), (8192, 2000, 1024, Duration::from_secs(1)));
    let (traces, logs) = (&traces.export, &logs.export);
    assert_eq!((traces.protocol, logs.protocol), (Protocol::Grpc, Protocol::HttpProtobuf));
    assert_eq!((traces.headers[0].0.as_str(), traces.headers[0].1.expose_secret()), ("authorization", "Bearer hush"));
    assert_eq!((traces.gzip, logs.gzip), (true, false));
    assert_eq!((traces.timeout, logs.timeout), (Duration::from_secs(3), Duration::from_secs(5)));
    assert_eq!(telemetry.service_name, "other");
    assert_eq!(telemetry.resource["deployment.environment.name"], "a b");
    assert_eq!(telemetry.sampler, Sampler { parent_based: false, ratio: 0.25 });
}

#[test]
fn resource_has_the_operators_version_and_an_instance() {
    let resource = |attributes| with(&[("OTEL_RESOURCE_ATTRIBUTES", attributes)]).settings().telemetry.attributes();
    let ours = resource("");
    assert_eq!(ours["service.version"], env!("CARGO_PKG_VERSION"));
    let ids = [&ours, &resource("service.instance.id=")].map(|attributes| attributes["service.instance.id"].clone());
    assert!(ids.iter().all(|id| uuid::Uuid::parse_str(id).is_ok()) && ids[0] != ids[1], "{ids:?}");
    let given = resource("service.version=7,service.instance.id=pod-1,service.namespace=shop");
    assert_eq!((given["service.version"].as_str(), given["service.instance.id"].as_str()), ("7", "pod-1"));
    assert_eq!((given["service.namespace"].as_str(), given["service.name"].as_str()), ("shop", "glasshouse"));
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
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on"),
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

/// A certificate of an authority of its own, and the key of that.
fn certificate(folder: &TempDir) -> (String, String) {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (path("ca.pem"), path("ca.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2"])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    (certificate, key)
}

#[test]
fn certificates_are_read_and_checked_before_the_start() {
    let folder = TempDir::new().expect("a folder");
    let (certificate, key) = certificate(&folder);
    for protocol in ["grpc", "http/protobuf"] {
        let base = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let with_tls = |more: &[(&str, &str)]| with(&[&base[..], more].concat());
        let all = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate.as_str()),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", &key),
        ];
        let traces = with_tls(&all).settings().telemetry.traces.expect("an endpoint");
        assert!(traces.export.tls.ca.is_some() && traces.export.tls.identity.is_some(), "{protocol}");
        for (name, path) in [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", key.as_str()),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
        ] {
            let fault = with_tls(&[(name, path)]).fault();
            assert!(fault.starts_with(name), "{protocol}: {fault}");
        }
        let broken = folder.path().join("broken.pem");
        let text = "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n";
        std::fs::write(&broken, text).expect("a file");
        let fault = with_tls(&[("OTEL_EXPORTER_OTLP_CERTIFICATE", &broken.display().to_string())]).fault();
        assert!(fault.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{protocol}: {fault}");
    }
}

#[test]
fn certificates_of_a_plain_endpoint_are_named_in_the_warning() {
    let folder = TempDir::new().expect("a folder");
    let (certificate, _) = certificate(&folder);
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate.as_str())];
    let warnings = with(&variables).settings().warnings.join("\n");
    assert_eq!(warnings.matches("OTEL_EXPORTER_OTLP_CERTIFICATE (").count(), 1, "{warnings}");
}

#[test]
fn credentials_in_the_url_are_sent_as_basic_or_refused() {
    let with_headers = |url: &str, headers: &str| {
        with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url), ("OTEL_EXPORTER_OTLP_HEADERS", headers)])
    };
    let traces = with_headers("http://ann:hush@c:4318", "").settings().telemetry.traces.expect("an endpoint");
    assert_eq!(traces.export.endpoint.as_str(), "http://c:4318/v1/traces");
    let headers: Vec<_> =
        traces.export.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(headers, [("authorization", "Basic YW5uOmh1c2g=")]);
    let fault = with_headers("http://ann:hush@c:4318", "Authorization=Bearer%20b").fault();
    assert!(fault.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT") && !fault.contains("hush"), "{fault}");
}

#[test]
fn baggage_is_named_as_without_effect() {
    let warnings = |value| with(&[("OTEL_PROPAGATORS", value)]).settings().warnings.join("\n");
    assert!(!warnings("tracecontext").contains("OTEL_PROPAGATORS"));
    for value in ["tracecontext,baggage", "baggage", "none"] {
        assert!(warnings(value).contains("OTEL_PROPAGATORS"), "{value}");
    }
}

#[test]
fn every_secret_of_the_settings_is_known_to_the_redactor() {
    let settings = with(&[
        ("DATABASE_URL", "postgres://ann:canary%2Ddatabase@localhost/users?password=canary-query"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ann:canary-url@c:4318?api-key=canary-key"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization2=Bearer%20canary-header"),
        ("GLASSHOUSE_INTERNAL__TOKEN", "canary-internal-token"),
        ("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", "canary-force-token"),
    ])
    .settings();
    let known: Vec<_> = settings.telemetry.secrets.iter().map(ExposeSecret::expose_secret).collect();
    for canary in [
        "canary%2Ddatabase",
        "canary-database",
        "canary-query",
        "canary-url",
        "canary-key",
        "canary-header",
        "canary-internal-token",
        "canary-force-token",
    ] {
        assert!(known.contains(&canary), "{canary}");
    }
    assert!(known.iter().any(|secret| secret.contains("PRIVATE KEY")), "the signing key");
}
