//! Exports to a collector: each outcome is counted as what it is, and every setting of a connection is carried out.

use tempfile::TempDir;

use crate::support::{Collector, Engine, Service, TlsFiles, eventually};

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

/// A service that exports both signals to that collector, in batches that go out at once.
async fn exporting(collector: &Collector, protocol: &str, more: &[(&str, &str)]) -> Service {
    let endpoint = if protocol == "grpc" { collector.endpoint() } else { collector.http_endpoint() };
    let mut settings = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "10"),
    ];
    // The later one of two counts.
    settings.extend_from_slice(more);
    Service::start_with(Engine::Sqlite, &settings).await
}

/// Makes requests until so many spans and as many log records had that outcome.
async fn exported_with(service: &Service, error_type: &str, least: f64) {
    for signal in ["span", "log"] {
        let series = format!("otel_sdk_exporter_{signal}_exported_total{{error_type=\"{error_type}\"}}");
        eventually(&format!("{series} counts"), async || {
            service.client().get("/.well-known/jwks.json").await;
            service.metric(&series).await.filter(|count| *count >= least)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_export_counts_rejected_items_as_rejected() {
    for protocol in PROTOCOLS {
        let collector = Collector::start().await;
        let service = exporting(&collector, protocol, &[]).await;
        exported_with(&service, "", 1.0).await;
        assert_eq!(service.metric("otel_sdk_exporter_span_exported_total{error_type=\"rejected\"}").await, Some(0.0));
        collector.reject(1);
        exported_with(&service, "rejected", 2.0).await;
        collector.reject(0);
        let spans = collector.spans().len();
        let accepted = "otel_sdk_exporter_span_exported_total{error_type=\"\"}";
        service.client().get("/.well-known/jwks.json").await;
        eventually("what is accepted counts as exported", async || {
            let sent = collector.spans().len();
            let rejected = service.metric("otel_sdk_exporter_span_exported_total{error_type=\"rejected\"}").await?;
            #[expect(clippy::cast_precision_loss, reason = "a test makes a few spans")]
            let expected = sent as f64 - rejected;
            let counted = service.metric(accepted).await?;
            (sent > spans && (counted - expected).abs() < f64::EPSILON).then_some(())
        })
        .await;
        service.stop().await.outcome.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_export_reaches_every_outcome_that_the_counters_declare() {
    for protocol in PROTOCOLS {
        let collector = Collector::start().await;
        let service = exporting(&collector, protocol, &[]).await;
        exported_with(&service, "", 1.0).await;
        collector.reject(1);
        exported_with(&service, "rejected", 1.0).await;
        collector.refuse(true);
        exported_with(&service, "failed", 1.0).await;
        let page = service.internal("/metrics").await.text().await.unwrap();
        let outcomes =
            page.lines().filter_map(|line| line.strip_prefix("otel_sdk_exporter_span_exported_total{error_type="));
        let outcomes: Vec<_> = outcomes.map(|rest| rest.split_once('}').unwrap().0).collect();
        assert_eq!(outcomes, ["\"\"", "\"failed\"", "\"rejected\"", "\"timeout\""], "timeout: the next service");
        service.stop().await.outcome.unwrap();

        // It accepts, by the kernel's grace, and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
            ("GLASSHOUSE_SHUTDOWN__FLUSH", "600ms"),
        ];
        let service = exporting(&collector, protocol, &settings).await;
        exported_with(&service, "timeout", 1.0).await;
        let full = "otel_sdk_processor_span_processed_total{error_type=\"queue_full\"}";
        eventually("the queue is full", async || {
            service.client().get("/.well-known/jwks.json").await;
            service.metric(full).await.filter(|count| *count > 0.0)
        })
        .await;
        service.stop().await.outcome.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_export_retries_what_may_pass_and_loses_nothing() {
    for protocol in PROTOCOLS {
        let collector = Collector::start().await;
        collector.refuse_next();
        let service = exporting(&collector, protocol, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")]).await;
        exported_with(&service, "", 1.0).await;
        assert_eq!(collector.refusals(), 1);
        for signal in ["span", "log"] {
            let failed = format!("otel_sdk_exporter_{signal}_exported_total{{error_type=\"failed\"}}");
            assert_eq!(service.metric(&failed).await, Some(0.0), "{protocol}");
        }
        service.stop().await.outcome.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_export_is_compressed_with_gzip_where_the_settings_say_so() {
    for protocol in PROTOCOLS {
        let collector = Collector::start().await;
        let service = exporting(&collector, protocol, &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]).await;
        exported_with(&service, "", 1.0).await;
        service.stop().await.outcome.unwrap();
        let header = if protocol == "grpc" { "grpc-encoding" } else { "content-encoding" };
        let headers = collector.headers();
        assert!(!headers.is_empty() && headers.iter().all(|headers| headers[header] == "gzip"), "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_export_sends_user_and_password_of_the_url_as_basic() {
    for protocol in PROTOCOLS {
        let collector = Collector::start().await;
        let plain = if protocol == "grpc" { collector.endpoint() } else { collector.http_endpoint() };
        let endpoint = plain.replace("http://", "http://ann:hush%21@");
        let service = exporting(&collector, protocol, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
        exported_with(&service, "", 1.0).await;
        service.stop().await.outcome.unwrap();
        assert!(collector.headers().iter().all(|headers| headers["authorization"] == "Basic YW5uOmh1c2gh"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_export_trusts_the_authority_that_the_settings_name() {
    let folder = TempDir::new().unwrap();
    let files = TlsFiles::make(&folder);
    for protocol in PROTOCOLS {
        let collector = Collector::start_tls(&files).await;
        let endpoint = collector.tls_endpoint();
        let settings = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", files.authority.as_str()),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", files.client.0.as_str()),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", files.client.1.as_str()),
        ];
        let service = exporting(&collector, protocol, &settings).await;
        exported_with(&service, "", 1.0).await;
        service.stop().await.outcome.unwrap();

        // Neither with another authority, nor without the authority, nor without the client's certificate.
        let mut refused = vec![settings.clone()];
        refused[0][1].1 = &files.client.0;
        for removed in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT"] {
            let mut fewer = settings.clone();
            fewer.retain(|(name, _)| !name.starts_with(removed));
            refused.push(fewer);
        }
        for settings in refused {
            let service = exporting(&collector, protocol, &settings).await;
            exported_with(&service, "failed", 1.0).await;
            assert_eq!(service.metric("otel_sdk_exporter_span_exported_total{error_type=\"\"}").await, Some(0.0));
            service.stop().await.outcome.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_log_records_carry_their_time_and_no_changing_event_name() {
    let collector = Collector::start().await;
    let service = exporting(&collector, "grpc", &[]).await;
    exported_with(&service, "", 1.0).await;
    service.stop().await.outcome.unwrap();
    let records = collector.records();
    assert!(!records.is_empty());
    for record in records {
        assert!(record.time_unix_nano > 0 && record.time_unix_nano <= record.observed_time_unix_nano, "{record:?}");
        assert_eq!(record.event_name, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_scrapes_make_no_trace_unless_forced() {
    let collector = Collector::start().await;
    let token = "a-token-of-the-on-call";
    let service = exporting(&collector, "grpc", &[("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", token)]).await;
    let client = service.client();
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(client.get(path).await.status, 200);
        assert_eq!(service.internal(path).await.status(), 200);
    }
    service.internal("/metrics").await;
    client.get("/.well-known/jwks.json").await;
    let forced = client.request(reqwest::Method::GET, "/health/live").header("x-force-trace", token);
    client.send(forced.header("x-request-id", "forced-probe")).await;
    service.stop().await.outcome.unwrap();
    let spans = collector.spans();
    let roots: Vec<_> =
        spans.iter().filter(|span| span.parent_span_id.is_empty()).map(|span| span.name.as_str()).collect();
    assert_eq!(roots.iter().filter(|name| name.contains("/health/")).collect::<Vec<_>>(), [&"GET /health/live"]);
    assert!(roots.contains(&"GET /.well-known/jwks.json"), "{roots:?}");
    assert!(!roots.iter().any(|name| name.starts_with("SELECT")), "readiness checks: {roots:?}");
}
