//! The public port: the user API, its health and its contract.

mod audit;
mod auth;
mod config;
mod discovery;
mod extract;
mod health;
mod layers;
pub mod limits;
mod metrics;
pub mod openapi;
mod problem;
mod server;
mod shown_password;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    middleware::from_fn_with_state,
    routing::{get, post, put},
};
use secrecy::SecretString;

pub use config::Config;
pub use layers::PASSWORD_BURST_FACTOR;
pub use metrics::ConnectionMetrics;
pub use server::serve;

use crate::{
    domain::{audit::Audit, auth::Auth, users::Users},
    faults::Switchboard,
    lifecycle::{Latch, Readiness},
    resilience::{GateMetrics, HeldRefusals},
    telemetry::{Metrics, Tracer},
};
use layers::{Class, EdgeConfig, Observer, Origins, Shed};
use limits::Limits;
use metrics::HttpMetrics;
use problem::Problem;

/// What the public port is made of.
pub struct Api {
    /// Accounts.
    pub users: Arc<Users>,
    /// Signing in, and recognising callers.
    pub auth: Arc<Auth>,
    /// What admins did.
    pub audit: Arc<Audit>,
    /// What `/health/ready` asks.
    pub readiness: Readiness,
    /// Held when this port will soon be closed.
    pub serving: Arc<Latch>,
    /// Makes the requests' spans.
    pub tracer: Tracer,
    /// What requests may meet on purpose.
    pub faults: Switchboard,
    /// How often clients may ask; none for as often as they like.
    pub limits: Option<Arc<Limits>>,
    /// Whoever sends this as `X-Force-Trace` has that one request traced.
    pub force_trace_token: Option<SecretString>,
    /// Its settings.
    pub config: Config,
}

/// Every route, below every layer. To be made once for each registry.
pub fn router(api: Api, metrics: &Metrics) -> Router {
    let observer = Arc::new(Observer {
        tracer: api.tracer.clone(),
        metrics: HttpMetrics::new(metrics, &openapi::operations()),
        trusted_proxies: api.config.trusted_proxies.clone(),
        force_trace_token: api.force_trace_token.clone(),
        server_timing: api.config.server_timing,
        slow: api.config.slow,
    });
    let edge = EdgeConfig {
        serving: Arc::clone(&api.serving),
        observer,
        origins: Origins::new(&api.config.cors_origins),
        limits: api.limits.clone(),
        request_timeout: api.config.request_timeout,
        // Four times the latency objective, from where HighLatencyP99 fires.
        min_client_timeout: api.config.slow * 4,
        max_body_bytes: api.config.max_body_bytes,
    };

    // By what they spend: `layers/shed.rs` lets each class have its own.
    let passwords = Router::new()
        .route("/api/v1/users", post(users::register))
        .route("/api/v1/users/{id}/password", put(users::change_password))
        .route("/api/v1/auth/sign-in", post(auth::sign_in));
    let other = Router::new()
        .route("/api/v1/users", get(users::list))
        .route("/api/v1/users/me", get(users::read_own))
        .route("/api/v1/users/{id}", get(users::read).put(users::replace).patch(users::change).delete(users::remove))
        .route("/api/v1/auth/refresh", post(auth::refresh))
        .route("/api/v1/auth/sign-out", post(auth::sign_out))
        .route("/api/v1/audit", get(audit::list));
    let gate_metrics = GateMetrics::new(metrics);
    // Over HTTP/1.1, each held refusal keeps a connection.
    let held = HeldRefusals::new(usize::try_from(api.config.max_connections).unwrap_or(usize::MAX));
    let gated = |operations: Router<Arc<Api>>, class| {
        let operations = operations.route_layer(from_fn_with_state(api.faults.clone(), layers::operation));
        operations.route_layer(from_fn_with_state(
            Arc::new(Shed::new(class, &api.config, &held, &gate_metrics)),
            layers::shed,
        ))
    };
    let operations = gated(passwords, Class::Passwords).merge(gated(other, Class::Other));

    let routes = Router::new()
        .merge(operations)
        .merge(openapi::routes())
        .merge(discovery::routes())
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .with_state(Arc::new(api));
    layered(routes, edge)
}

/// The routes, what is answered where there is none, and the middleware around both.
fn layered(routes: Router, edge: EdgeConfig) -> Router {
    routes
        .fallback(unknown_route)
        // axum adds `Allow`. Where no origin is named, `OPTIONS` is a method like any other that a route lacks.
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(Arc::new(edge), layers::edge))
}

async fn unknown_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "nothing is at this path")
}

async fn unknown_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has no such method; see `Allow`")
}
