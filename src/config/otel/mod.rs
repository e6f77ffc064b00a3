//! OpenTelemetry's standard variables: those that are honoured, and those that have no effect here.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>; where the specification asks
//! to ignore a value that makes no sense, it is a fault here, like that of any other setting.

mod settings;

pub(super) use settings::SETTINGS;

use std::{collections::BTreeMap, path::Path};

use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::{
    credentials,
    environment::Variables,
    faults::Faults,
    file,
    setting::{STANDARD_PREFIX, all},
    values::Values,
};
use crate::telemetry::{BUILD, BatchedExport, Export, MetricsExport, Protocol, Sampler, Temporality, Tls};

/// What can be exported.
struct Signal {
    /// As in `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_TRACES_EXPORTER`.
    name: &'static str,
    /// What is added to a base URL for HTTP.
    path: &'static str,
    /// As in `OTEL_BSP_EXPORT_TIMEOUT`.
    schedule: &'static str,
}

const TRACES: Signal = Signal { name: "TRACES", path: "v1/traces", schedule: "BSP" };
const LOGS: Signal = Signal { name: "LOGS", path: "v1/logs", schedule: "BLRP" };
const METRICS: Signal = Signal { name: "METRICS", path: "v1/metrics", schedule: "METRIC" };

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
pub(super) fn traces(values: &Values, faults: &mut Faults) -> Option<BatchedExport> {
    batched(&TRACES, values, faults)
}

/// Where logs go beside stdout.
pub(super) fn logs(values: &Values, faults: &mut Faults) -> Option<BatchedExport> {
    batched(&LOGS, values, faults)
}

/// Where metrics go beside `/metrics`.
pub(super) fn metrics(values: &Values, faults: &mut Faults) -> Option<MetricsExport> {
    let export = export(&METRICS, values, faults)?;
    Some(MetricsExport {
        export,
        interval: values.duration("OTEL_METRIC_EXPORT_INTERVAL"),
        temporality: match values.text("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE") {
            "delta" => Temporality::Delta,
            "lowmemory" => Temporality::LowMemory,
            _ => Temporality::Cumulative,
        },
        exponential: values.text("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION")
            == "base2_exponential_bucket_histogram",
    })
}

fn batched(signal: &Signal, values: &Values, faults: &mut Faults) -> Option<BatchedExport> {
    let processor = |what: &str| format!("OTEL_{}_{what}", signal.schedule);
    let (queue, batch) =
        (values.whole(&processor("MAX_QUEUE_SIZE")), values.whole(&processor("MAX_EXPORT_BATCH_SIZE")));
    if batch > queue {
        let accepted = format!("at most {}, which is {queue}", processor("MAX_QUEUE_SIZE"));
        faults.add(values.fault(&processor("MAX_EXPORT_BATCH_SIZE"), accepted));
    }
    let export = export(signal, values, faults)?;
    Some(BatchedExport { export, queue, batch, delay: values.duration(&processor("SCHEDULE_DELAY")) })
}

fn export(signal: &Signal, values: &Values, faults: &mut Faults) -> Option<Export> {
    let timeout = format!("OTEL_{}_EXPORT_TIMEOUT", signal.schedule);
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
        timeout: values.duration(&chosen(values, signal, "TIMEOUT")).min(values.duration(&timeout)),
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
    let propagators = values.texts("OTEL_PROPAGATORS");
    if propagators != ["tracecontext"] {
        names.push("OTEL_PROPAGATORS (traces are carried by tracecontext and by nothing else)".to_owned());
    }
    if values.is_set("OTEL_TRACES_SAMPLER_ARG") && !values.text("OTEL_TRACES_SAMPLER").ends_with("traceidratio") {
        names.push("OTEL_TRACES_SAMPLER_ARG (the sampler takes none)".to_owned());
    }
    for signal in [TRACES, LOGS, METRICS] {
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
