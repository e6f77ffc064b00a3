//! Metrics that a collector receives: the registry's numbers under OpenTelemetry's names, as the environment asks for them.

use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, metric::Data,
};

use crate::support::{Collector, Engine, Service, attribute, eventually};

/// A service that exports its metrics to that collector many times a second.
async fn exporting(collector: &Collector, more: &[(&str, &str)]) -> Service {
    let mut settings = vec![("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_METRIC_EXPORT_INTERVAL", "20")];
    // The later one of two counts.
    settings.extend_from_slice(more);
    Service::observed(Engine::Sqlite, collector, &settings).await
}

fn named<'a>(export: &'a [Metric], name: &str) -> Option<&'a Metric> {
    export.iter().find(|metric| metric.name == name)
}

fn sum<'a>(export: &'a [Metric], name: &str) -> (AggregationTemporality, &'a [NumberDataPoint]) {
    match named(export, name).and_then(|metric| metric.data.as_ref()) {
        Some(Data::Sum(sum)) => (sum.aggregation_temporality.try_into().unwrap(), &sum.data_points),
        other => panic!("{name} is no sum: {other:?}"),
    }
}

/// The durations of requests for one's own account.
fn durations(export: &[Metric]) -> Option<&HistogramDataPoint> {
    let Data::Histogram(histogram) = named(export, "http.server.request.duration")?.data.as_ref()? else { return None };
    histogram.data_points.iter().find(|point| {
        attribute(&point.attributes, "http.route").as_deref() == Some("/api/v1/users/me")
            && attribute(&point.attributes, "http.response.status_code").as_deref() == Some("200")
    })
}

fn exponential(export: &[Metric]) -> Option<&ExponentialHistogramDataPoint> {
    let metric = named(export, "http.server.request.duration")?;
    let Data::ExponentialHistogram(histogram) = metric.data.as_ref()? else { return None };
    let is_own = |point: &&ExponentialHistogramDataPoint| {
        attribute(&point.attributes, "http.route").as_deref() == Some("/api/v1/users/me")
    };
    histogram.data_points.iter().find(is_own)
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_metrics_are_those_of_the_registry_by_both_protocols() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start().await;
        let endpoint = if protocol == "grpc" { collector.endpoint() } else { collector.http_endpoint() };
        let settings = [
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ];
        let service = exporting(&collector, &settings).await;
        // Joining asks for the account once.
        let ann = service.client().joined("ann@example.com").await;
        for _ in 0..2 {
            assert_eq!(ann.client.me().await.status, 200);
        }
        let export = eventually("an export with the three requests", async || {
            collector.metrics().pop().filter(|export| durations(export).is_some_and(|point| point.count == 3))
        })
        .await;
        let point = durations(&export).unwrap();
        assert_eq!((point.explicit_bounds.len(), point.bucket_counts.iter().sum::<u64>()), (14, 3));
        assert!(point.sum.unwrap() > 0.0 && 0 < point.start_time_unix_nano);
        assert!(point.start_time_unix_nano <= point.time_unix_nano);
        assert_eq!(named(&export, "http.server.request.duration").unwrap().unit, "s");
        let (temporality, registered) = sum(&export, "glasshouse.users_registered");
        assert_eq!((temporality, registered.len()), (AggregationTemporality::Cumulative, 1));
        let scraped = service.internal("/metrics").await.text().await.unwrap();
        let families = scraped.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert_eq!(export.len(), families, "each family of the registry is exported");
        service.stop().await.outcome.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delta_metrics_add_up_across_an_outage_of_the_collector() {
    let collector = Collector::start().await;
    let settings = [("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")];
    let service = exporting(&collector, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    let requests = || -> u64 {
        let exports = collector.metrics();
        exports.iter().filter_map(|export| durations(export)).map(|point| point.count).sum()
    };
    eventually("the first request", async || (requests() == 1).then_some(())).await;
    collector.refuse(true);
    ann.client.me().await;
    let failed = "otel_sdk_exporter_metric_data_point_exported_total{error_type=\"failed\"}";
    eventually("an export fails", async || service.metric(failed).await.filter(|count| *count > 0.0)).await;
    ann.client.me().await;
    collector.refuse(false);
    eventually("what was counted meanwhile", async || (requests() == 3).then_some(())).await;
    service.stop().await.outcome.unwrap();

    assert_eq!(requests(), 3, "and nothing twice, with the last export");
    let exports = collector.metrics();
    // The first exports may be older than the store.
    let with_calls = exports.iter().filter(|export| named(export, "glasshouse.db_calls").is_some());
    let mut calls: Vec<_> = with_calls.flat_map(|export| sum(export, "glasshouse.db_calls").1).collect();
    calls.retain(|point| attribute(&point.attributes, "glasshouse.outcome").as_deref() == Some("success"));
    let contiguous = calls.windows(2).all(|pair| pair[1].start_time_unix_nano == pair[0].time_unix_nano);
    assert!(calls.len() > 2 && contiguous, "each interval begins where the one before ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn lowmemory_counts_cpu_time_from_the_start_and_requests_from_the_export_before() {
    let collector = Collector::start().await;
    let settings = [("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory")];
    let service = exporting(&collector, &settings).await;
    // The first exports may be older than the store.
    let has_calls = |export: &Vec<Metric>| named(export, "glasshouse.db_calls").is_some();
    let export = eventually("an export of the store", async || collector.metrics().pop().filter(has_calls)).await;
    assert_eq!(sum(&export, "process.cpu.time").0, AggregationTemporality::Cumulative);
    assert_eq!(sum(&export, "glasshouse.db_calls").0, AggregationTemporality::Delta);
    service.stop().await.outcome.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exponential_histograms_have_every_observation_in_a_bucket() {
    let collector = Collector::start().await;
    let aggregation = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let settings = [(aggregation, "base2_exponential_bucket_histogram"), ("OTEL_TRACES_SAMPLER", "always_on")];
    let service = exporting(&collector, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    for _ in 0..4 {
        ann.client.me().await;
    }
    let export = eventually("an export with the five requests", async || {
        collector.metrics().pop().filter(|export| exponential(export).is_some_and(|point| point.count == 5))
    })
    .await;
    let point = exponential(&export).unwrap();
    let buckets = point.positive.as_ref().unwrap();
    assert_eq!((point.scale, point.zero_count, buckets.bucket_counts.iter().sum::<u64>()), (3, 0, 5));
    // The bounds of the first and of the last bucket hold the mean between them.
    let bound = |index: usize| ((f64::from(buckets.offset) + f64::from(u32::try_from(index).unwrap())) / 8.0).exp2();
    let mean = point.sum.unwrap() / 5.0;
    assert!(bound(0) < mean && mean <= bound(buckets.bucket_counts.len()), "{buckets:?} {mean}");
    assert!(point.exemplars.iter().all(|exemplar| exemplar.trace_id.len() == 16) && !point.exemplars.is_empty());
    service.stop().await.outcome.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn last_metrics_are_exported_when_the_service_stops() {
    let collector = Collector::start().await;
    let service = exporting(&collector, &[("OTEL_METRIC_EXPORT_INTERVAL", "600000")]).await;
    service.client().joined("ann@example.com").await;
    assert!(collector.metrics().is_empty());
    service.stop().await.outcome.unwrap();
    let exports = collector.metrics();
    assert_eq!(exports.len(), 1);
    assert_eq!(durations(&exports[0]).map(|point| point.count), Some(1));
}
