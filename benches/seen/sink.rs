//! A collector that receives and forgets.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tonic::{Request, Response, Status};

/// Counts spans.
struct Sink(Arc<AtomicU64>);

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.get_ref().resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        self.0.fetch_add(spans as u64, Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Starts it; returns its URL and the number of spans that it has received.
pub(crate) async fn start() -> (String, Arc<AtomicU64>) {
    let spans = Arc::<AtomicU64>::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let service = TraceServiceServer::new(Sink(Arc::clone(&spans))).max_decoding_message_size(64 * 1024 * 1024);
    let server = tonic::transport::Server::builder().add_service(service);
    #[expect(clippy::disallowed_methods, reason = "the collector is no part of the service")]
    tokio::spawn(async move { server.serve_with_incoming(incoming).await });
    (format!("http://{address}"), spans)
}
