//! What the service says of itself: logs, traces and metrics.
//!
//! Nothing here may harm what it watches: no request waits for it, nothing of it grows without bound, and what it
//! has to drop, it counts.

mod allocator;
mod awake;
mod build;
pub mod catalog;
mod chain;
mod config;
pub mod console;
mod exemplar;
mod export;
mod exposition;
pub mod follow;
mod lines;
mod listening;
mod log_filter;
mod log_format;
mod memory_limit;
mod metrics;
mod native;
mod panics;
mod process;
pub mod propagation;
mod reading;
mod redaction;
mod request;
pub mod runtime;
mod samples;
mod series;
mod start;
mod stdout;
pub mod symbols;
pub mod tasks;
pub mod timeline;
pub mod traces;

pub use allocator::{allocated_bytes, unsampled};
pub use awake::AwakeWorkers;
pub use build::{BUILD, Build};
pub use chain::Chain;
pub use config::{BatchedExport, Config, Export, LogFormat, MetricsExport, Protocol, Sampler, Temporality, Tls};
pub use export::{ExportError, Outage};
pub use exposition::Exposition;
pub use log_filter::LogFilter;
pub use metrics::{Counter, Gauge, Held, Histogram, Metrics};
pub use opentelemetry::KeyValue;
pub use opentelemetry_semantic_conventions::attribute as semconv;
pub use reading::Reading;
pub use redaction::Redactor;
pub use request::Request;
pub use samples::{Sample, Spread};
pub use series::OVERFLOW;
pub use start::{Output, StartError, Telemetry};
pub use stdout::Stdout;
pub use tasks::spawn;
pub use traces::{Origin, Place, Span, SpanIds, Tracer, strings};
