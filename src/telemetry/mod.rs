//! What the service says of itself: logs, traces and metrics.

pub mod catalog;
mod config;
mod exemplar;
mod metrics;
mod reading;
mod request;
mod series;
mod spawn;
pub mod traces;

pub use config::{Config, Export, LogFormat, Protocol, Sampler};
pub use metrics::{Counter, Gauge, Held, Histogram, Metrics};
pub use opentelemetry::KeyValue;
pub use opentelemetry_semantic_conventions::attribute as semconv;
pub use reading::Reading;
pub use request::Request;
pub use series::OVERFLOW;
pub use spawn::spawn;
pub use traces::{Origin, Place, Span, SpanIds, Tracer};
