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

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post, put},
};
use secrecy::SecretString;

pub use config::Config;
pub use metrics::ConnectionMetrics;
pub use server::serve;

use crate::{
    domain::{audit::Audit, auth::Auth, users::Users},
    faults::Switchboard,
    lifecycle::{Latch, Readiness},
    resilience::GateMetrics,
    telemetry::{Metrics, Tracer},
};
use layers::{Class, Observer, Origins, Shed};
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
    let around = Around {
        observer,
        origins: Origins::new(&api.config.cors_origins),
        limits: api.limits.clone(),
        request_timeout: api.config.request_timeout,
        // Four times the latency objective, from where HighLatencyP99 fires.
        owed: api.config.slow * 4,
        max_body_bytes: api.config.max_body_bytes,
    };
    let serving = Arc::clone(&api.serving);

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
    let gated = |operations: Router<Arc<Api>>, class| {
        // Innermost, and only here: documents, probes and keys have media types and parameters of their own.
        let operations = operations.route_layer(from_fn(layers::known_query)).route_layer(from_fn(layers::accept));
        // A layer costs each request something, and where no fault is allowed it would never do anything. All other
        // layers see a fault as they would see a real one.
        let operations = if api.faults.is_allowed() {
            operations.route_layer(from_fn_with_state(api.faults.clone(), layers::faults))
        } else {
            operations
        };
        operations.route_layer(from_fn_with_state(Arc::new(Shed::new(class, &api.config, &gate_metrics)), layers::shed))
    };
    let operations = gated(passwords, Class::Passwords).merge(gated(other, Class::Other));

    let routes = Router::new()
        .merge(operations)
        .merge(openapi::routes())
        .merge(discovery::routes())
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .with_state(Arc::new(api));
    // Outermost: a refusal is an answer too.
    layered(routes, around).layer(from_fn_with_state(serving, layers::leaving))
}

/// What the layers around all routes need.
struct Around {
    observer: Arc<Observer>,
    origins: Origins,
    /// None if nobody is limited.
    limits: Option<Arc<Limits>>,
    request_timeout: Duration,
    /// How long a client has to wait at least before our silence is our fault.
    owed: Duration,
    max_body_bytes: usize,
}

/// The routes, what is answered where there is none, and the layers around both.
fn layered(routes: Router, around: Around) -> Router {
    let Around { observer, origins, limits, request_timeout, owed, max_body_bytes } = around;
    let mut layered = routes
        .fallback(unknown_route)
        // axum adds `Allow`. Where no origin is named, `OPTIONS` is a method like any other that a route lacks.
        .method_not_allowed_fallback(unknown_method)
        // From the inside out, beyond those that only operations have. A body is bounded before anybody reads it,
        .layer(from_fn_with_state(max_body_bytes, layers::body_limit))
        // what two readers could read differently is refused,
        .layer(from_fn(layers::host))
        // the clock runs for all that reads and works,
        .layer(from_fn_with_state((request_timeout, owed), layers::deadline));
    let is_cross_origin = !origins.is_empty();
    if is_cross_origin {
        layered = layered.layer(from_fn(layers::preflight));
    }
    // the limit of the client's address comes before everything that answers, refusals too,
    if let Some(limits) = limits {
        layered = layered.layer(from_fn_with_state(limits, layers::limit));
    }
    // a panic of any of these is still an answer,
    layered = layered.layer(from_fn(layers::panics));
    // pages of other origins may read all of these answers, if they may read any,
    if is_cross_origin {
        layered = layered.layer(from_fn_with_state(Arc::new(origins), layers::cors));
    }
    // and every answer, however it came about, is seen.
    layered.layer(from_fn_with_state(observer, layers::observe))
}

async fn unknown_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "nothing is at this path")
}

async fn unknown_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has no such method; see `Allow`")
}
