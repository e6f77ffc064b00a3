//! The registry as OTLP's metrics.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
        HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar, exponential_histogram_data_point::Buckets,
        metric::Data, number_data_point,
    },
};
use prometheus::proto::{Metric as Sample, MetricFamily, MetricType};

use super::earlier::{Count, Earlier, now};
use crate::telemetry::{
    Metrics, MetricsExport, Temporality, catalog,
    exemplar::Exemplar as Kept,
    metrics::label_values,
    native::{SCHEMA, Snapshot, ZERO_THRESHOLD},
};

/// One export.
pub(super) struct Points {
    pub(super) metrics: Vec<Metric>,
    /// How many data points they have.
    pub(super) count: usize,
    /// What the next differences begin with.
    pub(super) earlier: Earlier,
}

/// What the conversion of each series needs.
struct Reading<'a> {
    metrics: &'a Metrics,
    settings: &'a MetricsExport,
    before: &'a Earlier,
    at: SystemTime,
    counts: HashMap<super::earlier::Series, Count>,
}

/// A counter's or histogram's point before it has its form.
struct Counted {
    count: Count,
    start: SystemTime,
    temporality: AggregationTemporality,
}

impl Points {
    /// Everything the registry has, as these settings want it.
    pub(super) fn read(metrics: &Metrics, settings: &MetricsExport, before: &Earlier) -> Self {
        let at = now();
        let mut reading = Reading { metrics, settings, before, at, counts: HashMap::new() };
        let families = metrics.gather();
        let mut count = 0;
        let converted = families.iter().filter_map(|family| {
            count += family.get_metric().len();
            reading.metric(family)
        });
        let metrics = converted.collect();
        Self { metrics, count, earlier: Earlier { at, counts: reading.counts } }
    }
}

impl Reading<'_> {
    /// None if the catalogue has no such family; a test of it has all.
    fn metric(&mut self, family: &MetricFamily) -> Option<Metric> {
        let known = catalog::METRICS.iter().find(|metric| metric.name == family.name())?;
        let (name, unit) = catalog::otlp_metric(known);
        let samples = family.get_metric().iter();
        let data = match family.get_field_type() {
            MetricType::COUNTER => {
                let counted: Vec<_> = samples.map(|sample| (sample, self.counted(known, sample))).collect();
                Data::Sum(Sum {
                    aggregation_temporality: temporality(counted.first().map(|(_, counted)| counted)),
                    is_monotonic: true,
                    data_points: counted.into_iter().map(|(sample, it)| self.number(sample, &it)).collect(),
                })
            }
            MetricType::HISTOGRAM => {
                let counted: Vec<_> = samples.map(|sample| (sample, self.counted(known, sample))).collect();
                let temporality = temporality(counted.first().map(|(_, counted)| counted));
                if counted.iter().all(|(_, it)| it.count.native.is_some()) && self.settings.exponential {
                    let points = counted.into_iter().map(|(sample, it)| self.exponential(known, sample, it));
                    let data_points = points.collect();
                    Data::ExponentialHistogram(ExponentialHistogram {
                        aggregation_temporality: temporality,
                        data_points,
                    })
                } else {
                    let points = counted.into_iter().map(|(sample, it)| self.explicit(known, sample, it));
                    Data::Histogram(Histogram { aggregation_temporality: temporality, data_points: points.collect() })
                }
            }
            _ => Data::Gauge(Gauge {
                data_points: samples
                    .map(|sample| NumberDataPoint {
                        attributes: attributes(sample),
                        time_unix_nano: nanos(self.at),
                        value: Some(number_data_point::Value::AsDouble(sample.get_gauge().get_value())),
                        ..NumberDataPoint::default()
                    })
                    .collect(),
            }),
        };
        Some(Metric {
            name: name.into_owned(),
            description: known.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            metadata: Vec::new(),
        })
    }

    /// A series since its beginning, or since the last export.
    fn counted(&mut self, known: &'static catalog::Metric, sample: &Sample) -> Counted {
        let labels = label_values(known.labels, sample.get_label());
        let created = self.metrics.created(known.name, &labels);
        let histogram = sample.get_histogram();
        let mut below = 0;
        let bounds = histogram.get_bucket().iter().map(prometheus::proto::Bucket::cumulative_count);
        let is_counter = histogram.get_bucket().is_empty();
        let buckets = bounds.chain((!is_counter).then(|| histogram.get_sample_count())).map(|upto| {
            let within = upto.saturating_sub(below);
            below = upto;
            within
        });
        let count = Count {
            total: if is_counter { sample.get_counter().get_value() } else { histogram.get_sample_sum() },
            buckets: buckets.collect(),
            native: self.metrics.native(known.name, &labels),
        };
        let is_difference = match self.settings.temporality {
            Temporality::Cumulative => false,
            Temporality::Delta => true,
            Temporality::LowMemory => created.is_some(),
        };
        if !is_difference {
            let start = created.unwrap_or_else(|| self.metrics.started());
            return Counted { count, start, temporality: AggregationTemporality::Cumulative };
        }
        let series = (known.name, labels.iter().map(|&label| label.to_owned()).collect());
        let added = self.before.counts.get(&series).map_or_else(|| count.clone(), |earlier| count.since(earlier));
        self.counts.insert(series, count);
        // A series that began since then counts from its own start.
        let start = created.map_or(self.before.at, |created| created.max(self.before.at));
        Counted { count: added, start, temporality: AggregationTemporality::Delta }
    }

    fn number(&self, sample: &Sample, counted: &Counted) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(sample),
            start_time_unix_nano: nanos(counted.start),
            time_unix_nano: nanos(self.at),
            value: Some(number_data_point::Value::AsDouble(counted.count.total)),
            ..NumberDataPoint::default()
        }
    }

    fn explicit(&self, known: &catalog::Metric, sample: &Sample, counted: Counted) -> HistogramDataPoint {
        let bounds = sample.get_histogram().get_bucket().iter();
        HistogramDataPoint {
            attributes: attributes(sample),
            start_time_unix_nano: nanos(counted.start),
            time_unix_nano: nanos(self.at),
            count: counted.count.buckets.iter().sum(),
            sum: Some(counted.count.total),
            explicit_bounds: bounds.map(prometheus::proto::Bucket::upper_bound).collect(),
            bucket_counts: counted.count.buckets,
            exemplars: self.exemplars(known, sample, counted.start),
            ..HistogramDataPoint::default()
        }
    }

    fn exponential(&self, known: &catalog::Metric, sample: &Sample, counted: Counted) -> ExponentialHistogramDataPoint {
        let native = counted.count.native.unwrap_or_default();
        ExponentialHistogramDataPoint {
            attributes: attributes(sample),
            start_time_unix_nano: nanos(counted.start),
            time_unix_nano: nanos(self.at),
            count: native.count(),
            sum: Some(counted.count.total),
            scale: SCHEMA,
            zero_count: native.zero,
            zero_threshold: ZERO_THRESHOLD,
            positive: Some(buckets(&native)),
            exemplars: self.exemplars(known, sample, counted.start),
            ..ExponentialHistogramDataPoint::default()
        }
    }

    /// Those that were observed since the point's start.
    fn exemplars(&self, known: &catalog::Metric, sample: &Sample, start: SystemTime) -> Vec<Exemplar> {
        let kept = self.metrics.exemplars(known.name, &label_values(known.labels, sample.get_label()));
        kept.into_iter().flatten().filter(|kept| kept.at >= start).map(exemplar).collect()
    }
}

fn exemplar(kept: Kept) -> Exemplar {
    Exemplar {
        time_unix_nano: nanos(kept.at),
        span_id: kept.trace.span.to_bytes().to_vec(),
        trace_id: kept.trace.trace.to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(kept.value)),
        filtered_attributes: Vec::new(),
    }
}

/// From the first bucket with observations to the last. OTLP counts a bucket by its lower bound, Prometheus by its upper.
fn buckets(native: &Snapshot) -> Buckets {
    let (Some((first, _)), Some((last, _))) = (native.buckets.first(), native.buckets.last()) else {
        return Buckets::default();
    };
    let counts: HashMap<i32, u64> = native.buckets.iter().copied().collect();
    let bucket_counts = (*first..=*last).map(|index| counts.get(&index).copied().unwrap_or_default()).collect();
    Buckets { offset: first - 1, bucket_counts }
}

fn temporality(first: Option<&Counted>) -> i32 {
    first.map_or(AggregationTemporality::Unspecified, |counted| counted.temporality).into()
}

fn attributes(sample: &Sample) -> Vec<KeyValue> {
    let labels = sample.get_label().iter();
    let attributes = labels.map(|label| KeyValue {
        key: catalog::otlp_attribute(label.name()).into_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(label.value().to_owned())) }),
        ..KeyValue::default()
    });
    attributes.collect()
}

fn nanos(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
