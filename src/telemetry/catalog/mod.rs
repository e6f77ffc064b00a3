//! Every signal we emit, in one place: the only vocabulary that dashboards, alerts and runbook may use.
//!
//! A signal that is not here cannot be emitted: metrics are made from these constants, and a test compares the
//! spans, fields and paths that a walk through the whole service produces with these lists.

mod attributes;
mod fields;
mod metrics;
mod names;
mod paths;
mod print;
mod spans;
mod weaver;

pub use attributes::{NAMESPACE, REGISTRY, ValueType, attribute, registered};
pub use fields::FIELDS;
pub use metrics::*;
pub use names::{otlp_attribute, otlp_metric};
pub use paths::PATHS;
pub use print::{json, markdown};
pub use spans::{SPANS, Span};
pub use weaver::weaver;

/// A metric family.
#[derive(Debug)]
pub struct Metric {
    /// In Prometheus form: an OpenTelemetry name with underscores and its unit, or `glasshouse_…` where there is none.
    pub name: &'static str,
    /// One sentence, without a full stop.
    pub help: &'static str,
    /// What kind of numbers it holds.
    pub kind: Kind,
    /// The names of its labels, in the order in which code gives their values.
    pub labels: &'static [&'static str],
}

/// What kind of numbers a metric holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Only goes up; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations by bucket; these are the upper bounds, without `+Inf`.
    Histogram(&'static [f64]),
}

/// Anything else we emit: a log field, a path of the internal port.
#[derive(Debug)]
pub struct Signal {
    /// As it appears.
    pub name: &'static str,
    /// What it tells, in one sentence, without a full stop.
    pub meaning: &'static str,
}
