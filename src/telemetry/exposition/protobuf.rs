//! Prometheus' protobuf messages: the only format with native histograms and, beside `_created` series, created timestamps.

use prometheus::proto::{LabelPair as Label, Metric as Sample, MetricFamily as Family, MetricType};
use prost::Message;

use super::{
    messages::{
        Bucket, BucketSpan, COUNTER, Counter, Exemplar, GAUGE, Gauge, HISTOGRAM, Histogram, LabelPair, Metric,
        MetricFamily,
    },
    text::label_name,
};
use crate::telemetry::{
    Metrics,
    exemplar::Exemplar as Kept,
    metrics::label_values,
    native::{self, Snapshot},
};

pub(super) fn write(metrics: &Metrics) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 * 1024);
    let families = metrics.gather();
    let families = target(metrics).into_iter().chain(families.iter().map(|family| message(family, metrics)));
    for family in families {
        family.encode_length_delimited(&mut out).expect("a vector grows");
    }
    out
}

/// The resource. This format has no info metrics: a gauge of 1 becomes the same series as in OpenMetrics.
fn target(metrics: &Metrics) -> Option<MetricFamily> {
    let label = metrics.target()?.iter().map(|(name, value)| LabelPair::new(&label_name(name), value)).collect();
    Some(MetricFamily {
        name: Some("target_info".to_owned()),
        help: Some("Resource attributes of this process".to_owned()),
        kind: Some(GAUGE),
        metric: vec![Metric { label, gauge: Some(Gauge { value: Some(1.0) }), ..Metric::default() }],
    })
}

fn message(family: &Family, metrics: &Metrics) -> MetricFamily {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => COUNTER,
        MetricType::HISTOGRAM => HISTOGRAM,
        _ => GAUGE,
    };
    let metric = family.get_metric().iter().map(|sample| {
        let mut metric = Metric { label: sample.get_label().iter().map(pair).collect(), ..Metric::default() };
        match kind {
            COUNTER => metric.counter = Some(counter(family.name(), sample, metrics)),
            HISTOGRAM => metric.histogram = Some(histogram(family.name(), sample, metrics)),
            _ => metric.gauge = Some(Gauge { value: Some(sample.get_gauge().get_value()) }),
        }
        metric
    });
    MetricFamily {
        name: Some(family.name().to_owned()),
        help: Some(family.help().to_owned()),
        kind: Some(kind),
        metric: metric.collect(),
    }
}

fn pair(label: &Label) -> LabelPair {
    LabelPair::new(label.name(), label.value())
}

fn counter(name: &str, sample: &Sample, metrics: &Metrics) -> Counter {
    let created = metrics.created(name, &label_values(metrics.label_names(name), sample.get_label()));
    Counter { value: Some(sample.get_counter().get_value()), created_timestamp: created.map(Into::into) }
}

fn histogram(name: &str, sample: &Sample, metrics: &Metrics) -> Histogram {
    let labels = label_values(metrics.label_names(name), sample.get_label());
    let exemplars = metrics.exemplars(name, &labels);
    let native = metrics.native(name, &labels);
    // The two forms share the count, and Prometheus refuses a native histogram whose buckets do not add up to it. So the
    // classic buckets are read again, now later than the native ones: what arrived in between is cut off.
    let again = native.is_some().then(|| metrics.classic(name, &labels)).flatten();
    let classic = again.as_ref().unwrap_or_else(|| sample.get_histogram());
    let count = native.as_ref().map_or_else(|| classic.get_sample_count(), Snapshot::count);
    let bounds = classic.get_bucket().iter().map(|bucket| (bucket.cumulative_count(), bucket.upper_bound()));
    let buckets = bounds.chain([(count, f64::INFINITY)]).enumerate().map(|(index, (cumulative, bound))| Bucket {
        cumulative_count: Some(cumulative.min(count)),
        upper_bound: Some(bound),
        exemplar: exemplars.get(index).and_then(Option::as_ref).map(exemplar),
    });
    let mut message = Histogram {
        sample_count: Some(count),
        sample_sum: Some(classic.get_sample_sum()),
        bucket: buckets.collect(),
        created_timestamp: metrics.created(name, &labels).map(Into::into),
        ..Histogram::default()
    };
    if let Some(native) = native {
        message.schema = Some(native::SCHEMA);
        message.zero_threshold = Some(native::ZERO_THRESHOLD);
        message.zero_count = Some(native.zero);
        (message.positive_span, message.positive_delta) = spans(&native.buckets);
    }
    message
}

/// Runs of consecutive buckets, and each bucket's count as the difference to the one before. A histogram without
/// observations has one empty span, which says that it is a native one.
fn spans(buckets: &[(i32, u64)]) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<(i32, u32)>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut end, mut before) = (0, 0);
    for &(index, count) in buckets {
        match spans.last_mut() {
            Some((_, length)) if index == end => *length += 1,
            _ => spans.push((index - end, 1)),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        (end, before) = (index + 1, count);
    }
    if spans.is_empty() {
        spans.push((0, 0));
    }
    let spans = spans.into_iter().map(|(offset, length)| BucketSpan { offset: Some(offset), length: Some(length) });
    (spans.collect(), deltas)
}

fn exemplar(kept: &Kept) -> Exemplar {
    Exemplar {
        label: vec![
            LabelPair::new("trace_id", &kept.trace.trace.to_string()),
            LabelPair::new("span_id", &kept.trace.span.to_string()),
        ],
        value: Some(kept.value),
        timestamp: Some(kept.at.into()),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::{BucketSpan, MetricFamily, spans, write};
    use crate::telemetry::{Metrics, catalog};

    fn families(mut page: &[u8]) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        while !page.is_empty() {
            families.push(MetricFamily::decode_length_delimited(&mut page).unwrap());
        }
        families
    }

    #[test]
    fn native_histogram_counts_what_the_classic_one_counts() {
        let metrics = Metrics::new(10).with_native_histograms();
        let hashes = metrics.histogram(&catalog::PASSWORD_HASH_DURATION);
        for value in [0.0, 0.04, 0.04, 0.05, 99.0] {
            hashes.observe_in(&[], value, None);
        }
        let families = families(&write(&metrics));
        let name = catalog::PASSWORD_HASH_DURATION.name;
        let family = families.iter().find(|family| family.name.as_deref() == Some(name)).unwrap();
        let histogram = family.metric[0].histogram.as_ref().unwrap();
        let mut count = 0;
        let counts = histogram.positive_delta.iter().map(|delta| {
            count += delta;
            count
        });
        assert_eq!(counts.collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!((histogram.sample_count, histogram.zero_count, histogram.schema), (Some(5), Some(1), Some(3)));
        assert_eq!(histogram.bucket.last().unwrap().cumulative_count, Some(5));
        assert!(histogram.created_timestamp.is_some());
    }

    #[test]
    fn histogram_without_the_setting_is_a_classic_one() {
        let metrics = Metrics::new(10);
        metrics.histogram(&catalog::PASSWORD_HASH_DURATION).observe_in(&[], 0.04, None);
        let families = families(&write(&metrics));
        let histogram = families.iter().find_map(|family| family.metric[0].histogram.as_ref()).unwrap();
        assert_eq!((histogram.schema, histogram.positive_span.len(), histogram.bucket.len()), (None, 0, 11));
    }

    #[test]
    fn spans_skip_what_is_empty() {
        let span = |offset, length| BucketSpan { offset: Some(offset), length: Some(length) };
        assert_eq!(spans(&[]), (vec![span(0, 0)], vec![]));
        assert_eq!(spans(&[(-3, 4), (-2, 1), (5, 9)]), (vec![span(-3, 2), span(6, 1)], vec![4, -3, 8]));
    }
}
