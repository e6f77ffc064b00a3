//! OpenTelemetry's standard variables: those that are honoured, and those that have no effect here.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>; where the specification asks
//! to ignore a value that makes no sense, it is a fault here, like that of any other setting.

use std::{collections::BTreeMap, path::Path};

use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::{
    credentials,
    environment::Variables,
    faults::Faults,
    file,
    setting::{STANDARD_PREFIX, Setting, all},
    shape::Shape,
    values::Values,
};
use crate::telemetry::{BUILD, Export, Protocol, Sampler, Tls};

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

pub(super) const SETTINGS: &[Setting] = &[
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
        Shape::Text,
        "none",
        "Metrics are scraped at /metrics on the internal port and never exported.",
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
    setting("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOLS, "http/protobuf", "How the collector is spoken to."),
    setting("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOLS, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", PROTOCOLS, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_HEADERS", Shape::Headers, "", "Sent with each export, such as credentials."),
    setting(
        "OTEL_EXPORTER_OTLP_HEADERS_FILE",
        Shape::Path,
        "",
        "A file with the headers instead of OTEL_EXPORTER_OTLP_HEADERS. It is not of the standard.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_HEADERS", Shape::Headers, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_HEADERS", Shape::Headers, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT, "10000", "How long one export may take."),
    setting("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", TIMEOUT, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", TIMEOUT, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_COMPRESSION", COMPRESSIONS, "none", "Whether exports are compressed."),
    setting("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", COMPRESSIONS, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", COMPRESSIONS, "", INSTEAD_FOR_LOGS),
    setting(
        "OTEL_EXPORTER_OTLP_INSECURE",
        Shape::Flag,
        "false",
        "Whether a grpc endpoint without a scheme is spoken to without TLS.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_INSECURE", Shape::Flag, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_INSECURE", Shape::Flag, "", INSTEAD_FOR_LOGS),
    setting(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        Shape::Path,
        "",
        "PEM of the authorities that sign the collector's certificate. Without it: the system's authorities for \
         http/protobuf, the public ones that are built in for grpc.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_LOGS),
    setting(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        Shape::Path,
        "",
        "PEM of the certificate that the collector is shown; with it OTEL_EXPORTER_OTLP_CLIENT_KEY.",
    ),
    setting("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", Shape::Path, "", INSTEAD_FOR_LOGS),
    setting("OTEL_EXPORTER_OTLP_CLIENT_KEY", Shape::Path, "", "PEM of the key of that certificate."),
    setting("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", Shape::Path, "", INSTEAD_FOR_TRACES),
    setting("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", Shape::Path, "", INSTEAD_FOR_LOGS),
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

/// What can be exported.
struct Signal {
    /// As in `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_TRACES_EXPORTER`.
    name: &'static str,
    /// What is added to a base URL for HTTP.
    path: &'static str,
    /// As in `OTEL_BSP_MAX_QUEUE_SIZE`.
    processor: &'static str,
}

const TRACES: Signal = Signal { name: "TRACES", path: "v1/traces", processor: "BSP" };
const LOGS: Signal = Signal { name: "LOGS", path: "v1/logs", processor: "BLRP" };

/// `service.name`, and the resource's further attributes. The operator's version counts before ours; an instance without
/// an id gets a new one at each start.
pub(super) fn resource(values: &Values) -> (String, BTreeMap<String, String>) {
    let mut attributes: BTreeMap<_, _> = values.pairs("OTEL_RESOURCE_ATTRIBUTES").iter().cloned().collect();
    attributes.retain(|name, value| !name.starts_with("service.") || !value.trim().is_empty());
    let attribute = attributes.remove("service.name");
    attributes.entry("service.version".to_owned()).or_insert_with(|| BUILD.version.to_owned());
    attributes.entry("service.instance.id".to_owned()).or_insert_with(|| Uuid::new_v4().to_string());
    let name = values.text("OTEL_SERVICE_NAME").to_owned();
    (if values.is_set("OTEL_SERVICE_NAME") { name } else { attribute.unwrap_or(name) }, attributes)
}

/// Which requests are traced.
pub(super) fn sampler(values: &Values) -> Sampler {
    let name = values.text("OTEL_TRACES_SAMPLER");
    let root = name.strip_prefix("parentbased_").unwrap_or(name);
    let ratio = match root {
        "always_on" => 1.0,
        "always_off" => 0.0,
        _ => values.ratio("OTEL_TRACES_SAMPLER_ARG"),
    };
    Sampler { parent_based: root.len() < name.len(), ratio }
}

/// Where traces go.
pub(super) fn traces(values: &Values, faults: &mut Faults) -> Option<Export> {
    export(&TRACES, values, faults)
}

/// Where logs go beside stdout.
pub(super) fn logs(values: &Values, faults: &mut Faults) -> Option<Export> {
    export(&LOGS, values, faults)
}

fn export(signal: &Signal, values: &Values, faults: &mut Faults) -> Option<Export> {
    let processor = |what: &str| format!("OTEL_{}_{what}", signal.processor);
    let (queue, batch) =
        (values.whole(&processor("MAX_QUEUE_SIZE")), values.whole(&processor("MAX_EXPORT_BATCH_SIZE")));
    if batch > queue {
        let accepted = format!("at most {}, which is {queue}", processor("MAX_QUEUE_SIZE"));
        faults.add(values.fault(&processor("MAX_EXPORT_BATCH_SIZE"), accepted));
    }
    let protocol = match values.text(&chosen(values, signal, "PROTOCOL")) {
        "grpc" => Protocol::Grpc,
        _ => Protocol::HttpProtobuf,
    };
    let mut endpoint = endpoint(signal, protocol, values, faults)?;
    let mut headers = values.headers(&chosen(values, signal, "HEADERS")).to_vec();
    if let Err(accepted) = credentials::move_to_header(&mut endpoint, &mut headers) {
        faults.add(values.fault(&chosen(values, signal, "ENDPOINT"), accepted));
    }
    let is_wanted = values.text(&format!("OTEL_{}_EXPORTER", signal.name)) == "otlp";
    if !is_wanted || values.flag("OTEL_SDK_DISABLED") {
        return None;
    }
    let tls = tls(signal, values, faults);
    let export = Export {
        endpoint,
        protocol,
        headers,
        tls,
        gzip: values.text(&chosen(values, signal, "COMPRESSION")) == "gzip",
        timeout: values.duration(&chosen(values, signal, "TIMEOUT")).min(values.duration(&processor("EXPORT_TIMEOUT"))),
        queue,
        batch,
        delay: values.duration(&processor("SCHEDULE_DELAY")),
    };
    // The certificates are the only part that a client can still refuse.
    if let Some(fault) = export.fault() {
        let named =
            ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "ENDPOINT"].map(|what| chosen(values, signal, what));
        let named = named.iter().find(|name| values.is_set(name));
        let name = named.map_or("OTEL_EXPORTER_OTLP_ENDPOINT", String::as_str);
        faults.add(values.fault(name, format!("what a client of a collector can be made of; {fault}")));
    }
    Some(export)
}

/// The certificates that the variables name, as the files hold them.
fn tls(signal: &Signal, values: &Values, faults: &mut Faults) -> Tls {
    let mut read = |what: &str, label: &str| {
        let name = chosen(values, signal, what);
        let path = values.optional_text(&name)?;
        let accepted = match file::text(Path::new(path)) {
            Ok(pem) if pem.contains(label) => return Some(pem),
            Ok(_) => format!("a PEM file with a {label}"),
            Err(error) => format!("a file that can be read; {error}"),
        };
        faults.add(values.fault(&name, accepted));
        None
    };
    let ca = read("CERTIFICATE", "CERTIFICATE").map(String::into_bytes);
    let certificate = read("CLIENT_CERTIFICATE", "CERTIFICATE");
    let key = read("CLIENT_KEY", "PRIVATE KEY").map(SecretString::from);
    let (certificate_name, key_name) =
        (chosen(values, signal, "CLIENT_CERTIFICATE"), chosen(values, signal, "CLIENT_KEY"));
    match (values.is_set(&certificate_name), values.is_set(&key_name)) {
        (true, false) => faults.add(values.fault(&certificate_name, format!("with {key_name} beside it"))),
        (false, true) => faults.add(values.fault(&key_name, format!("with {certificate_name} beside it"))),
        _ => {}
    }
    Tls { ca, identity: certificate.map(String::into_bytes).zip(key) }
}

/// The variable that decides: the signal's own if it is set, otherwise the one for all.
fn chosen(values: &Values, signal: &Signal, what: &str) -> String {
    let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name);
    let is_held = values.is_set(&own) && values.get(&own).value.is_some();
    if is_held { own } else { format!("OTEL_EXPORTER_OTLP_{what}") }
}

/// A base URL gets the signal's path for HTTP; a signal's own URL is taken as it is.
fn endpoint(signal: &Signal, protocol: Protocol, values: &Values, faults: &mut Faults) -> Option<Url> {
    let name = chosen(values, signal, "ENDPOINT");
    let text = values.optional_text(&name)?;
    let scheme = match protocol {
        _ if text.contains("://") => "",
        Protocol::Grpc if values.flag(&chosen(values, signal, "INSECURE")) => "http://",
        Protocol::Grpc => "https://",
        Protocol::HttpProtobuf => {
            faults.add(values.fault(&name, "for http/protobuf a URL that begins with http:// or https://"));
            return None;
        }
    };
    let mut url = Url::parse(&format!("{scheme}{text}")).ok()?;
    if protocol == Protocol::HttpProtobuf && name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), signal.path));
    }
    Some(url)
}

/// One warning that names every standard variable that is set and has no effect.
pub(super) fn without_effect(values: &Values, variables: &Variables) -> Option<String> {
    let is_honoured = |name: &str| all().any(|setting| setting.name == name);
    let mut names: Vec<String> = variables
        .keys()
        .filter(|name| name.starts_with(STANDARD_PREFIX) && !is_honoured(name))
        .map(|name| name.escape_debug().to_string())
        .collect();
    if !matches!(values.text("OTEL_METRICS_EXPORTER"), "none" | "prometheus") {
        names.push("OTEL_METRICS_EXPORTER (metrics are scraped at /metrics)".to_owned());
    }
    let propagators = values.texts("OTEL_PROPAGATORS");
    if propagators != ["tracecontext"] {
        names.push("OTEL_PROPAGATORS (traces are carried by tracecontext and by nothing else)".to_owned());
    }
    if values.is_set("OTEL_TRACES_SAMPLER_ARG") && !values.text("OTEL_TRACES_SAMPLER").ends_with("traceidratio") {
        names.push("OTEL_TRACES_SAMPLER_ARG (the sampler takes none)".to_owned());
    }
    for signal in [TRACES, LOGS] {
        let exporter = format!("OTEL_{}_EXPORTER", signal.name);
        let has_endpoint = values.is_set(&chosen(values, &signal, "ENDPOINT"));
        if values.is_set(&exporter) && values.text(&exporter) == "otlp" && !has_endpoint {
            names.push(format!("{exporter} (there is no endpoint)"));
        }
        let is_plain =
            values.optional_text(&chosen(values, &signal, "ENDPOINT")).is_none_or(|url| url.starts_with("http:"));
        for what in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
            let name = chosen(values, &signal, what);
            let warning = format!("{name} (no endpoint is https)");
            if is_plain && values.is_set(&name) && !names.contains(&warning) {
                names.push(warning);
            }
        }
    }
    (!names.is_empty()).then(|| format!("set, but without effect: {}", names.join(", ")))
}
