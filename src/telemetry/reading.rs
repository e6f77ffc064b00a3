//! Gauges that are read when somebody asks, for what knows its own value.

use prometheus::{
    GaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::catalog::Metric;

/// Gives each series its value, by calling what it is handed.
type Read = Box<dyn Fn(&mut dyn FnMut(&[&str], f64)) + Send + Sync>;

/// A gauge family with a fixed set of series, to be handed to [`super::Metrics::register`].
pub struct Reading {
    family: GaugeVec,
    read: Read,
}

impl Reading {
    /// `read` is called at each scrape and must not wait; it gives each series its value.
    ///
    /// # Panics
    /// If the metric's name or labels are not valid: a bug that the first start shows.
    #[must_use]
    pub fn new(metric: &'static Metric, read: impl Fn(&mut dyn FnMut(&[&str], f64)) + Send + Sync + 'static) -> Self {
        let family = GaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)
            .expect("the catalogue's names and labels are valid: a test registers each");
        Self { family, read: Box::new(read) }
    }
}

impl Collector for Reading {
    fn desc(&self) -> Vec<&Desc> {
        self.family.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.read)(&mut |labels, value| self.family.with_label_values(labels).set(value));
        self.family.collect()
    }
}
