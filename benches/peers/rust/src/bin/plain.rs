//! The same with the usual crates for logs, metrics and traces, put together as their documentation shows.

use std::{
    sync::{Arc, LazyLock},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    http::HeaderMap,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SdkTracerProvider;
use peers::{AppState, Error, SELECT_CALLER, User, setting};
use prometheus::{Encoder, HistogramVec, IntGauge, TextEncoder, register_histogram_vec, register_int_gauge};
use tokio::net::TcpListener;
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::{Instrument, Level, Span, info_span};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

static REQUEST_DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!(
        "http_server_request_duration_seconds",
        "Duration of requests.",
        &["method", "route", "status"]
    )
    .expect("a metric of its own")
});
static REQUESTS_IN_FLIGHT: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!("http_server_active_requests", "Requests in flight.").expect("a metric of its own")
});
static STATEMENT_DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    register_histogram_vec!("db_client_operation_duration_seconds", "Duration of statements.", &["statement"])
        .expect("a metric of its own")
});

#[tokio::main]
async fn main() {
    start_telemetry();
    let log = TraceLayer::new_for_http()
        .make_span_with(request_span)
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let router = Router::new()
        .route("/api/v1/users/me", get(read_own))
        .route("/metrics", get(metrics))
        .layer(from_fn(measure))
        .layer(log)
        .with_state(Arc::new(AppState::from_env()));
    let listener = TcpListener::bind(setting("LISTEN")).await.expect("LISTEN is a free address");
    axum::serve(listener, router).await.expect("it serves");
}

/// Logs as JSON on stdout; spans are exported if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
fn start_telemetry() {
    let traces = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().map(|_| {
        let exporter = SpanExporter::builder().with_tonic().build().expect("the endpoint is a URL");
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
        tracing_opentelemetry::layer().with_tracer(provider.tracer("peer"))
    });
    tracing_subscriber::registry()
        .with(EnvFilter::new("info"))
        .with(tracing_subscriber::fmt::layer().json().boxed())
        .with(traces)
        .init();
}

fn request_span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let agent = request.headers().get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    info_span!(
        "request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        url.path = request.uri().path(),
        user_agent.original = agent,
    )
}

async fn measure(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    REQUESTS_IN_FLIGHT.inc();
    let response = next.run(request).await;
    REQUESTS_IN_FLIGHT.dec();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    REQUEST_DURATION
        .with_label_values(&[method.as_str(), route, response.status().as_str()])
        .observe(start.elapsed().as_secs_f64());
    response
}

async fn read_own(State(state): State<Arc<AppState>>, headers: HeaderMap) -> Result<Json<User>, Error> {
    let claims = state.check(&headers)?;
    let span = info_span!(
        "SELECT sessions",
        otel.kind = "client",
        db.system.name = "postgresql",
        db.query.text = SELECT_CALLER,
    );
    let start = Instant::now();
    let user = state.select_caller(&claims).instrument(span).await;
    STATEMENT_DURATION.with_label_values(&["SELECT sessions"]).observe(start.elapsed().as_secs_f64());
    if let Err(Error::Database(error)) = &user {
        tracing::error!(%error, "select caller");
    }
    user.map(Json)
}

async fn metrics() -> Vec<u8> {
    let mut page = Vec::new();
    TextEncoder::new().encode(&prometheus::gather(), &mut page).expect("a page in memory");
    page
}
