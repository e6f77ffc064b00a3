//! One family at this moment, in plain numbers: for whoever inside the process wants to know what a scraper would.

use std::sync::PoisonError;

use prometheus::proto::{Metric as Proto, MetricFamily, MetricType};

use super::{Metrics, catalog::Metric};

/// One series and its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<N> {
    labels: Vec<(String, String)>,
    /// What it is now.
    pub number: N,
}

impl<N> Sample<N> {
    /// A label's value; empty if there is no such label.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// What a histogram has counted since it was made, or between two moments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    /// Upper bounds with how many observations were not above them, in rising order and without `+Inf`.
    buckets: Vec<(f64, u64)>,
    count: u64,
}

impl Spread {
    /// How many observations there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds what another histogram with the same bounds has counted.
    pub fn add(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else {
            for (mine, its) in self.buckets.iter_mut().zip(&other.buckets) {
                mine.1 += its.1;
            }
        }
        self.count += other.count;
    }

    /// What came after an earlier moment of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.buckets.iter().map(|(_, count)| *count).chain(std::iter::repeat(0));
        let buckets =
            self.buckets.iter().zip(before).map(|((bound, now), before)| (*bound, now.saturating_sub(before)));
        Self { buckets: buckets.collect(), count: self.count.saturating_sub(earlier.count) }
    }

    /// The value below which that share of the observations lies, as `histogram_quantile` has it: the place within a
    /// bucket is assumed, and what is above the highest bound counts as that bound. None without observations.
    #[expect(clippy::cast_precision_loss, reason = "no process counts to 2^52")]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = share * self.count as f64;
        let (mut lower, mut below) = (0.0, 0);
        for &(upper, upto) in &self.buckets {
            if upto as f64 >= rank && upto > below {
                return Some(lower + (upper - lower) * ((rank - below as f64) / (upto - below) as f64).clamp(0.0, 1.0));
            }
            (lower, below) = (upper, upto);
        }
        self.buckets.last().map(|(highest, _)| *highest)
    }
}

impl Metrics {
    /// Each series of a counter or gauge. Only that family is collected, not the whole registry.
    pub fn values(&self, metric: &Metric) -> Vec<Sample<f64>> {
        self.samples(metric, |kind, sample| match kind {
            MetricType::COUNTER => sample.get_counter().get_value(),
            _ => sample.get_gauge().get_value(),
        })
    }

    /// Each series of a histogram; as [`Metrics::values`].
    pub fn spreads(&self, metric: &Metric) -> Vec<Sample<Spread>> {
        self.samples(metric, |_, sample| {
            let histogram = sample.get_histogram();
            let buckets = histogram.get_bucket().iter();
            Spread {
                buckets: buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect(),
                count: histogram.get_sample_count(),
            }
        })
    }

    fn samples<N>(&self, metric: &Metric, read: impl Fn(MetricType, &Proto) -> N) -> Vec<Sample<N>> {
        let families = self.family_of(metric.name);
        let samples = families.iter().flat_map(|family| {
            family.get_metric().iter().map(|sample| {
                let labels = sample.get_label().iter();
                let labels = labels.map(|label| (label.name().to_owned(), label.value().to_owned())).collect();
                Sample { labels, number: read(family.get_field_type(), sample) }
            })
        });
        samples.collect()
    }

    fn family_of(&self, name: &str) -> Vec<MetricFamily> {
        let collector = {
            let collectors = self.collectors().lock().unwrap_or_else(PoisonError::into_inner);
            collectors.iter().find(|collector| collector.desc().iter().any(|desc| desc.fq_name == name)).cloned()
        };
        let mut families = collector.map(|collector| collector.collect()).unwrap_or_default();
        families.retain(|family| family.name() == name);
        families
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;
    use crate::telemetry::{Metrics, catalog};

    fn spread(metrics: &Metrics) -> Spread {
        let mut all = Spread::default();
        for sample in metrics.spreads(&catalog::DB_CLIENT_CONNECTION_WAIT_TIME) {
            all.add(&sample.number);
        }
        all
    }

    #[test]
    fn a_difference_of_histograms_has_the_quantiles_of_what_came_between() {
        let metrics = Metrics::new(10);
        let waits = metrics.histogram(&catalog::DB_CLIENT_CONNECTION_WAIT_TIME);
        assert_eq!(spread(&metrics).quantile(0.5), None);
        (0..100).for_each(|_| waits.observe(&["a"], 4.0));
        let before = spread(&metrics);
        // 90 of 100 between 1 ms and 5 ms in two series, 9 between 0.1 s and 0.5 s, one above every bound.
        (0..60).for_each(|_| waits.observe(&["a"], 0.002));
        (0..30).for_each(|_| waits.observe(&["b"], 0.002));
        (0..9).for_each(|_| waits.observe(&["b"], 0.2));
        waits.observe(&["b"], 1e9);
        let between = spread(&metrics).since(&before);
        assert_eq!(between.count(), 100);
        for (share, expected) in [(0.45, 0.003), (0.9, 0.005), (0.945, 0.3), (0.99, 0.5), (1.0, 10.0)] {
            let quantile = between.quantile(share).unwrap();
            assert!((quantile - expected).abs() < 1e-9, "{share}: {quantile}, not {expected}");
        }
    }

    #[test]
    fn a_family_is_read_by_its_name_and_labels() {
        let metrics = Metrics::new(10);
        let gauge = metrics.gauge(&catalog::DB_CLIENT_CONNECTIONS);
        metrics.counter(&catalog::PANICS).add(&[], 3);
        gauge.set(&["main", "used"], 2.0);
        gauge.set(&["main", "idle"], 5.0);
        let values = metrics.values(&catalog::DB_CLIENT_CONNECTIONS);
        let used = values.iter().find(|sample| sample.label("db_client_connection_state") == "used").unwrap();
        assert_eq!((values.len(), used.number, used.label("nothing")), (2, 2.0, ""));
        assert_eq!(metrics.values(&catalog::PANICS)[0].number.to_string(), "3");
        assert!(metrics.values(&catalog::LOG_LINES).is_empty());
    }
}
