//! The public port: the user API, its health and its contract.

mod auth;
mod config;
mod extract;
mod health;
mod jwks;
mod layers;
mod lingering;
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
    domain::{auth::Auth, users::Users},
    faults::Switchboard,
    lifecycle::Readiness,
    telemetry::{Metrics, Tracer},
};
use layers::{Observer, Origins};
use metrics::HttpMetrics;
use problem::Problem;

/// What the public port is made of.
pub struct Api {
    /// Accounts.
    pub users: Arc<Users>,
    /// Signing in, and recognising callers.
    pub auth: Arc<Auth>,
    /// What `/health/ready` asks.
    pub readiness: Readiness,
    /// Makes the requests' spans.
    pub tracer: Tracer,
    /// What requests may meet on purpose.
    pub faults: Switchboard,
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
    let origins = Origins::new(&api.config.cors_origins);
    let (request_timeout, max_body_bytes) = (api.config.request_timeout, api.config.max_body_bytes);
    let faults = api.faults.clone();

    let operations = Router::new()
        .route("/api/v1/users", post(users::register).get(users::list))
        .route("/api/v1/users/me", get(users::read_own))
        .route("/api/v1/users/{id}", get(users::read).put(users::replace).patch(users::change).delete(users::remove))
        .route("/api/v1/users/{id}/password", put(users::change_password))
        .route("/api/v1/auth/sign-in", post(auth::sign_in))
        .route("/api/v1/auth/refresh", post(auth::refresh))
        .route("/api/v1/auth/sign-out", post(auth::sign_out))
        // Innermost, and only here: documents, probes and keys have media types of their own.
        .route_layer(from_fn(layers::accept));

    let routes = Router::new()
        .merge(operations)
        .merge(openapi::routes())
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .with_state(Arc::new(api));
    // A layer costs each request something, and where no fault is allowed it would never do anything.
    let routes = if faults.is_allowed() { routes.layer(from_fn_with_state(faults, layers::faults)) } else { routes };
    layered(routes, observer, origins, request_timeout, max_body_bytes)
}

/// The routes, what is answered where there is none, and the layers around both.
fn layered(
    routes: Router,
    observer: Arc<Observer>,
    origins: Origins,
    request_timeout: Duration,
    max_body_bytes: usize,
) -> Router {
    let inner = routes
        .fallback(unknown_route)
        // axum adds `Allow`. Where no origin is named, `OPTIONS` is a method like any other that a route lacks.
        .method_not_allowed_fallback(unknown_method)
        // From the inside out. A body is bounded before anybody reads it,
        .layer(from_fn_with_state(max_body_bytes, layers::body_limit))
        // the clock runs for all that reads and works,
        .layer(from_fn_with_state(request_timeout, layers::deadline))
        // a panic of any of these is still an answer,
        .layer(from_fn(layers::panics));
    // pages of other origins may read all of these answers, if they may read any,
    let seen =
        if origins.is_empty() { inner } else { inner.layer(from_fn_with_state(Arc::new(origins), layers::cors)) };
    // and every answer, however it came about, is seen.
    seen.layer(from_fn_with_state(observer, layers::observe))
}

async fn unknown_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "nothing is at this path")
}

async fn unknown_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has no such method; see `Allow`")
}
