//! A real OTLP collector, by gRPC and by HTTP, that keeps what it receives.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value},
    logs::v1::LogRecord,
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use tonic::{Request, Response, Status, codec::CompressionEncoding};

/// Receives on two ports until it is dropped.
pub(crate) struct Collector {
    kept: Kept,
    grpc: SocketAddr,
    http: SocketAddr,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// What has been received; outlives the collector.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
    refusing: Arc<AtomicU64>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let kept = Kept::default();
        let grpc = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (grpc_address, http_address) = (grpc.local_addr().unwrap(), http.local_addr().unwrap());
        let traces = TraceServiceServer::new(kept.clone()).accept_compressed(CompressionEncoding::Gzip);
        let logs = LogsServiceServer::new(kept.clone()).accept_compressed(CompressionEncoding::Gzip);
        let server = tonic::transport::Server::builder().add_service(traces).add_service(logs);
        let incoming = tonic::transport::server::TcpIncoming::from(grpc);
        let router = Router::new()
            .route("/v1/traces", post(http_traces))
            .route("/v1/logs", post(http_logs))
            .with_state(kept.clone());
        #[expect(clippy::disallowed_methods, reason = "the collector is no part of the service")]
        let tasks = vec![
            tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() }),
            tokio::spawn(async move { axum::serve(http, router).await.unwrap() }),
        ];
        Self { kept, grpc: grpc_address, http: http_address, tasks }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`, by gRPC.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// The same for `OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`.
    pub(crate) fn http_endpoint(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Answers every export with "unavailable" from now on, or accepts again.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.kept.refusing.store(u64::from(refuse), SeqCst);
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
        format!("{:?}{:?}", self.traces.lock().unwrap(), self.logs.lock().unwrap())
    }

    fn is_refusing(&self) -> bool {
        self.refusing.load(SeqCst) > 0
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
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
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
        self.logs.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

async fn http_traces(State(kept): State<Kept>, body: Bytes) -> (StatusCode, Vec<u8>) {
    if kept.is_refusing() {
        return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
    }
    kept.traces.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
    (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
}

async fn http_logs(State(kept): State<Kept>, body: Bytes) -> (StatusCode, Vec<u8>) {
    if kept.is_refusing() {
        return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
    }
    kept.logs.lock().unwrap().push(ExportLogsServiceRequest::decode(body).unwrap());
    (StatusCode::OK, ExportLogsServiceResponse::default().encode_to_vec())
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
        other => format!("{other:?}"),
    }
}

/// Ids as they are written.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
