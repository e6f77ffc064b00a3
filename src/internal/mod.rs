//! The internal port: what the process is doing, from a thread and a runtime of its own, so that it still answers
//! when the service itself is stuck.

mod accept;
mod build_info;
mod config;
mod config_dump;
mod guard;
mod health;
mod index;
mod live;
mod log_filter;
mod metrics;
mod page;
mod pprof;
mod profile;
mod thread;
mod watch;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any, get},
};

pub use config::Config;
pub use live::Live;
pub use thread::Thread;
pub use watch::Watch;

use crate::{
    lifecycle::Readiness,
    telemetry::{LogFilter, Metrics},
};

/// What the internal port shows.
pub struct Shown {
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/health/ready`.
    pub readiness: Readiness,
    /// For `/health/live`.
    pub watch: Watch,
    /// For `/debug/live`.
    pub live: Live,
    /// For `/debug/log`.
    pub log_filter: LogFilter,
    /// For `/debug/config`: the effective settings, secrets redacted already.
    pub settings: serde_json::Value,
}

/// The routes. An unknown path is a 404, never a 200: a mistyped probe must not look healthy.
pub fn router(config: &Config, shown: Shown) -> Router {
    let Shown { metrics, readiness, watch, live, log_filter, settings } = shown;
    let guard = Arc::new(guard::Guard::new(config));
    Router::new()
        .route("/", get(index::show))
        .route("/page/{file}", get(page::file))
        .route("/metrics", get(metrics::show).with_state(metrics::Scrapes::new(metrics, readiness.clone())))
        .route("/health/live", get(health::live).with_state(watch))
        .route("/health/ready", get(health::ready).with_state(readiness))
        .route("/debug/build", get(build_info::show))
        .route("/debug/config", get(config_dump::show).with_state(Arc::new(settings)))
        .route("/debug/flamegraph", get(page::show))
        .route("/debug/live", get(live::show).with_state(live))
        .route("/debug/log", log_filter::routes(log_filter))
        .fallback(any(index::unknown))
        .layer(from_fn_with_state(guard, guard::admit))
}
