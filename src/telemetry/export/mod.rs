//! Sending spans, log records and metrics to a collector: batched, bounded, counted, off the request's path.

mod client;
mod counted;
mod logs;
mod message;
mod metrics;
mod outage;
mod size;
mod spans;

pub(super) use logs::logger_provider;
pub(super) use metrics::{MetricsExporter, metrics_exporter};
pub use outage::Outage;
pub(super) use spans::tracer_provider;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_semantic_conventions::SCHEMA_URL;

use super::{Config, Export};

/// Where the exporters' own log lines come from; never exported themselves, or one would lead to the next.
pub(super) const TARGET: &str = "glasshouse::telemetry";

/// Why export could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the exporter of {signal} cannot be built: {reason}")]
pub struct ExportError {
    signal: &'static str,
    reason: String,
}

/// What all our telemetry comes from.
fn resource(config: &Config) -> Resource {
    let attributes = config.attributes().into_iter().map(|(key, value)| KeyValue::new(key, value));
    Resource::builder().with_schema_url(Vec::new(), SCHEMA_URL).with_attributes(attributes).build()
}

impl Export {
    /// Says what is wrong with certificates or headers, without connecting.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        client::CollectorClient::check(self).err()
    }
}
