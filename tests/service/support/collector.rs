//! A real OTLP collector, by gRPC and by HTTP, that keeps what it receives.

use std::{
    io::Read,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_ENCODING},
    routing::post,
};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value},
    logs::v1::LogRecord,
    metrics::v1::Metric,
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use tempfile::TempDir;
use tonic::{
    Request, Response, Status,
    codec::CompressionEncoding,
    service::Routes,
    transport::{Certificate, Identity, ServerTlsConfig},
};

/// Certificates of a collector and of a client, both signed by an authority of their own.
pub(crate) struct TlsFiles {
    pub(crate) authority: String,
    /// Certificate and key.
    pub(crate) server: (String, String),
    pub(crate) client: (String, String),
}

impl TlsFiles {
    pub(crate) fn make(folder: &TempDir) -> Self {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (authority, authority_key) = (path("ca.pem"), path("ca.key"));
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        openssl(
            &[&["req", "-x509", "-subj", "/CN=authority", "-out", &authority, "-keyout", &authority_key], &ec[..]]
                .concat(),
        );
        let signed = |name: &str, extension: &str| {
            let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
            let subject = format!("/CN={name}");
            let arguments =
                ["req", "-x509", "-subj", &subject, "-addext", extension, "-addext", "basicConstraints=CA:FALSE"];
            let by = ["-CA", &authority, "-CAkey", &authority_key, "-out", &certificate, "-keyout", &key];
            openssl(&[&arguments[..], &by[..], &ec[..]].concat());
            (certificate, key)
        };
        let server = signed("server", "subjectAltName=DNS:localhost,IP:127.0.0.1");
        let client = signed("client", "extendedKeyUsage=clientAuth");
        Self { authority, server, client }
    }
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Receives on two ports until it is dropped.
pub(crate) struct Collector {
    kept: Kept,
    grpc: SocketAddr,
    http: SocketAddr,
    tls: Option<SocketAddr>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// What has been received; outlives the collector.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    refusing: Arc<AtomicU64>,
    refusals: Arc<AtomicU64>,
    rejecting: Arc<AtomicI64>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let kept = Kept::default();
        let grpc = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (grpc_address, http_address) = (grpc.local_addr().unwrap(), http.local_addr().unwrap());
        let traces = TraceServiceServer::new(kept.clone()).accept_compressed(CompressionEncoding::Gzip);
        let logs = LogsServiceServer::new(kept.clone()).accept_compressed(CompressionEncoding::Gzip);
        let metrics = MetricsServiceServer::new(kept.clone()).accept_compressed(CompressionEncoding::Gzip);
        let server = tonic::transport::Server::builder().add_service(traces).add_service(logs).add_service(metrics);
        let incoming = tonic::transport::server::TcpIncoming::from(grpc);
        let router = http_router(&kept);
        #[expect(clippy::disallowed_methods, reason = "the collector is no part of the service")]
        let tasks = vec![
            tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() }),
            tokio::spawn(async move { axum::serve(http, router).await.unwrap() }),
        ];
        Self { kept, grpc: grpc_address, http: http_address, tls: None, tasks }
    }

    /// One that also listens with TLS, for both protocols, and wants a client's certificate.
    pub(crate) async fn start_tls(files: &TlsFiles) -> Self {
        let mut collector = Self::start().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        collector.tls = listener.local_addr().ok();
        let read = |path: &str| std::fs::read(path).unwrap();
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(read(&files.server.0), read(&files.server.1)))
            .client_ca_root(Certificate::from_pem(read(&files.authority)));
        let kept = collector.kept();
        let routes = Routes::from(http_router(&kept))
            .add_service(TraceServiceServer::new(kept.clone()))
            .add_service(LogsServiceServer::new(kept));
        let server = tonic::transport::Server::builder().accept_http1(true).tls_config(tls).unwrap().add_routes(routes);
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        #[expect(clippy::disallowed_methods, reason = "the collector is no part of the service")]
        collector.tasks.push(tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() }));
        collector
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`, by gRPC.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// The same for `OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`.
    pub(crate) fn http_endpoint(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where it listens with TLS, for either protocol.
    pub(crate) fn tls_endpoint(&self) -> String {
        format!("https://{}", self.tls.unwrap())
    }

    /// Answers every export with "unavailable" from now on, or accepts again.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.kept.refusing.store(if refuse { u64::MAX } else { 0 }, SeqCst);
    }

    /// Answers the next export, and only that, with "unavailable".
    pub(crate) fn refuse_next(&self) {
        self.kept.refusing.store(1, SeqCst);
    }

    /// How many exports were refused.
    pub(crate) fn refusals(&self) -> u64 {
        self.kept.refusals.load(SeqCst)
    }

    /// Answers every export with so many rejected items from now on.
    pub(crate) fn reject(&self, items: i64) {
        self.kept.rejecting.store(items, SeqCst);
    }

    /// The headers of every export so far.
    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.kept.headers.lock().unwrap().clone()
    }

    /// Every span so far, in the order of arrival.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.kept.traces.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Every log record so far.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let requests = self.kept.logs.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_logs);
        resources.flat_map(|resource| &resource.scope_logs).flat_map(|scope| scope.log_records.clone()).collect()
    }

    /// The metrics of each export so far.
    pub(crate) fn metrics(&self) -> Vec<Vec<Metric>> {
        let requests = self.kept.metrics.lock().unwrap();
        let metrics = |request: &ExportMetricsServiceRequest| {
            let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
            scopes.flat_map(|scope| scope.metrics.clone()).collect()
        };
        requests.iter().map(metrics).collect()
    }

    /// The schema URLs of resources and of the scopes of spans.
    pub(crate) fn schema_urls(&self) -> Vec<String> {
        let requests = self.kept.traces.lock().unwrap();
        let resources: Vec<_> = requests.iter().flat_map(|request| &request.resource_spans).collect();
        let scopes = resources.iter().flat_map(|resource| &resource.scope_spans).map(|scope| &scope.schema_url);
        resources.iter().map(|resource| &resource.schema_url).chain(scopes).cloned().collect()
    }

    /// The scopes of spans: name and version.
    pub(crate) fn scopes(&self) -> Vec<(String, String)> {
        let requests = self.kept.traces.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans).filter_map(|scope| scope.scope.as_ref());
        scopes.map(|scope| (scope.name.clone(), scope.version.clone())).collect()
    }

    /// The resource that the first spans came from.
    pub(crate) fn resource(&self) -> Resource {
        self.kept.traces.lock().unwrap()[0].resource_spans[0].resource.clone().unwrap()
    }

    /// Everything received, as text: for those who look for what must not be there.
    pub(crate) fn everything(&self) -> String {
        self.kept.everything()
    }

    /// What it keeps, for whoever looks at it later.
    pub(crate) fn kept(&self) -> Kept {
        self.kept.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Kept {
    pub(crate) fn everything(&self) -> String {
        let (traces, logs) = (self.traces.lock().unwrap(), self.logs.lock().unwrap());
        format!("{traces:?}{logs:?}{:?}", self.metrics.lock().unwrap())
    }

    fn is_refusing(&self) -> bool {
        let less = |left: u64| (left > 0).then(|| if left == u64::MAX { left } else { left - 1 });
        let is_refusing = self.refusing.fetch_update(SeqCst, SeqCst, less).is_ok();
        self.refusals.fetch_add(u64::from(is_refusing), SeqCst);
        is_refusing
    }
}

impl Kept {
    fn take_traces(&self, headers: HeaderMap, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse {
        self.headers.lock().unwrap().push(headers);
        self.traces.lock().unwrap().push(request);
        let partial = self
            .rejection()
            .map(|(rejected_spans, error_message)| ExportTracePartialSuccess { rejected_spans, error_message });
        ExportTraceServiceResponse { partial_success: partial }
    }

    fn take_logs(&self, headers: HeaderMap, request: ExportLogsServiceRequest) -> ExportLogsServiceResponse {
        self.headers.lock().unwrap().push(headers);
        self.logs.lock().unwrap().push(request);
        let partial = self.rejection().map(|(rejected_log_records, error_message)| ExportLogsPartialSuccess {
            rejected_log_records,
            error_message,
        });
        ExportLogsServiceResponse { partial_success: partial }
    }

    fn take_metrics(&self, headers: HeaderMap, request: ExportMetricsServiceRequest) -> ExportMetricsServiceResponse {
        self.headers.lock().unwrap().push(headers);
        self.metrics.lock().unwrap().push(request);
        ExportMetricsServiceResponse::default()
    }

    fn rejection(&self) -> Option<(i64, String)> {
        Some(self.rejecting.load(SeqCst)).filter(|items| *items > 0).map(|items| (items, "over the quota".to_owned()))
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.is_refusing() {
            return Err(Status::unavailable("refusing"));
        }
        let headers = request.metadata().clone().into_headers();
        Ok(Response::new(self.take_traces(headers, request.into_inner())))
    }
}

#[tonic::async_trait]
impl LogsService for Kept {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        if self.is_refusing() {
            return Err(Status::unavailable("refusing"));
        }
        let headers = request.metadata().clone().into_headers();
        Ok(Response::new(self.take_logs(headers, request.into_inner())))
    }
}

#[tonic::async_trait]
impl MetricsService for Kept {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        if self.is_refusing() {
            return Err(Status::unavailable("refusing"));
        }
        let headers = request.metadata().clone().into_headers();
        Ok(Response::new(self.take_metrics(headers, request.into_inner())))
    }
}

fn http_router(kept: &Kept) -> Router {
    let router = Router::new().route("/v1/traces", post(http_traces)).route("/v1/logs", post(http_logs));
    router.route("/v1/metrics", post(http_metrics)).with_state(kept.clone())
}

async fn http_metrics(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    if kept.is_refusing() {
        return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
    }
    let request = ExportMetricsServiceRequest::decode(decompressed(&headers, body)).unwrap();
    (StatusCode::OK, kept.take_metrics(headers, request).encode_to_vec())
}

async fn http_traces(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    if kept.is_refusing() {
        return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
    }
    let request = ExportTraceServiceRequest::decode(decompressed(&headers, body)).unwrap();
    (StatusCode::OK, kept.take_traces(headers, request).encode_to_vec())
}

async fn http_logs(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    if kept.is_refusing() {
        return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
    }
    let request = ExportLogsServiceRequest::decode(decompressed(&headers, body)).unwrap();
    (StatusCode::OK, kept.take_logs(headers, request).encode_to_vec())
}

fn decompressed(headers: &HeaderMap, body: Bytes) -> Bytes {
    match headers.get(CONTENT_ENCODING).map(|encoding| encoding.to_str().unwrap()) {
        None => body,
        Some("gzip") => {
            let mut decompressed = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut decompressed).unwrap();
            decompressed.into()
        }
        Some(other) => panic!("an encoding that was not asked for: {other}"),
    }
}

/// An attribute as text; nothing if there is none.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    Some(text(value))
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::ArrayValue(list)) => list.values.iter().map(text).collect::<Vec<_>>().join(","),
        other => format!("{other:?}"),
    }
}

/// Ids as they are written.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
