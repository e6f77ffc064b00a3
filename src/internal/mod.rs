//! The internal port: what the process is doing, from a thread and a runtime of its own, so that it still answers
//! when the service itself is stuck.

mod accept;
mod build_info;
mod config;
mod config_dump;
mod connections;
mod console;
mod dump;
mod faults;
mod follow;
mod guard;
mod health;
mod heap;
mod index;
mod lease;
mod live;
mod log_filter;
mod metrics;
mod page;
mod patient;
mod pprof;
mod profile;
mod progress;
mod stacks;
mod stalls;
mod thread;
mod tool;
mod upload;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any, get},
};
pub use config::Config;
pub use connections::MAX_CONNECTIONS;
pub use console::Console;
pub use dump::dump_on_sigquit;
pub use live::Live;
pub use stalls::Watch;
pub use thread::Thread;
use tokio::runtime::Handle;

use crate::{
    faults::Switchboard,
    lifecycle::Readiness,
    telemetry::{LogFilter, Metrics, follow::Followers, timeline::Timeline},
};

/// What the internal port shows.
pub struct Shown {
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/health/ready`.
    pub readiness: Readiness,
    /// For `/health/live` and `/debug/stalls`.
    pub watch: Watch,
    /// For `/debug/live`.
    pub live: Live,
    /// For `/debug/log`.
    pub log_filter: LogFilter,
    /// For tokio-console.
    pub console: Console,
    /// For `/debug/trace`.
    pub followers: Followers,
    /// For `/debug/faults`.
    pub faults: Switchboard,
    /// For `/debug/config`: the effective settings, secrets redacted already.
    pub settings: serde_json::Value,
    /// For `/debug/pprof/goroutine`: this service's runtimes and what they are called.
    pub runtimes: Vec<(&'static str, Handle)>,
    /// For `/debug/pprof/trace`: what the main runtime was built with, and that runtime.
    pub timeline: (Timeline, Handle),
}

/// The routes. An unknown path is a 404, never a 200: a mistyped probe must not look healthy.
///
/// # Errors
/// When the system gives no thread.
pub fn router(config: &Config, shown: Shown) -> std::io::Result<Router> {
    let Shown { metrics, readiness, watch, live, log_filter, console, followers, faults, settings, runtimes, timeline } =
        shown;
    if config.heap_sampling {
        heap::switch_on_for_good();
    }
    let guard = Arc::new(guard::Guard::new(config));
    let scrapes = metrics::Scrapes::start(metrics, readiness.clone())?;
    let router = Router::new()
        .route("/", get(index::show))
        .route("/page/{file}", get(page::file))
        .route("/metrics", get(metrics::show).with_state(scrapes))
        .route("/health/live", get(health::live).with_state(watch.clone()))
        .route("/health/ready", get(health::ready).with_state(readiness))
        .route("/debug/build", get(build_info::show))
        .route("/debug/config", get(config_dump::show).with_state(Arc::new(settings)))
        .route("/debug/faults", faults::routes(faults))
        .route("/debug/flamegraph", get(page::show))
        .route("/debug/live", get(live::show).with_state(live))
        .route("/debug/log", log_filter::routes(log_filter))
        .route("/debug/heap", heap::routes())
        .route("/debug/trace", get(follow::show).with_state(followers))
        .merge(console.routes())
        .route("/debug/stalls", get(stalls::show).with_state(watch))
        .merge(pprof::routes(runtimes, timeline))
        .fallback(any(index::unknown))
        .layer(from_fn_with_state(guard, guard::admit));
    Ok(router)
}
