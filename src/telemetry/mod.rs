//! What the service says of itself: logs, traces and metrics.

pub mod catalog;
mod config;
mod exemplar;
mod filter;
mod metrics;
mod request;
mod series;
mod spawn;
pub mod traces;

pub use config::{Config, Export, LogFormat, Protocol, Sampler};
pub use filter::log_filter_fault;
pub use metrics::{Counter, Gauge, Held, Histogram, Metrics};
pub use request::Request;
pub use series::OVERFLOW;
pub use spawn::spawn;
pub use traces::{Origin, Span, SpanIds, Tracer};
