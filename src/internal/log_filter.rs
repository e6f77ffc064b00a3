//! `/debug/log`: which events are logged, and changing that for a while.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{DefaultBodyLimit, RawQuery, State},
    http::StatusCode,
    routing::{MethodRouter, get},
};
use tokio::task::AbortHandle;

use super::{lease, upload::Upload};
use crate::telemetry::LogFilter;

/// A filter with more than this is a mistake.
const MAX_BYTES: usize = 4096;

pub(super) fn routes(filter: LogFilter) -> MethodRouter {
    let switch = Arc::new(Switch { filter, falling_back: Mutex::new(None) });
    get(show).put(change).layer(DefaultBodyLimit::max(MAX_BYTES)).with_state(switch)
}

struct Switch {
    filter: LogFilter,
    /// What to fall back to, and the timer that will.
    falling_back: Mutex<Option<(String, AbortHandle)>>,
}

async fn show(State(switch): State<Arc<Switch>>) -> String {
    switch.filter.get() + "\n"
}

/// The body is an `EnvFilter`; with `for=10m` the filter from before comes back by itself.
async fn change(
    State(switch): State<Arc<Switch>>,
    RawQuery(query): RawQuery,
    Upload(body): Upload,
) -> (StatusCode, String) {
    let refused = |reason: String| (StatusCode::BAD_REQUEST, reason + "\n");
    let Ok(directives) = std::str::from_utf8(&body).map(str::trim) else {
        return refused("the body must be text".to_owned());
    };
    if directives.is_empty() {
        return refused("the body must be a filter, such as info,glasshouse=debug".to_owned());
    }
    let duration = match lease::parse(query.as_deref().unwrap_or_default()) {
        Ok(duration) => duration,
        Err(reason) => return refused(reason),
    };
    match switch.change(directives, duration) {
        Ok(()) => (StatusCode::OK, switch.filter.get() + "\n"),
        Err(reason) => refused(format!("the filter cannot be read: {reason}")),
    }
}

impl Switch {
    fn change(self: &Arc<Self>, directives: &str, duration: Option<Duration>) -> Result<(), String> {
        let mut falling_back = self.falling_back.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.filter.get();
        self.filter.set(directives)?;
        tracing::info!(target: "glasshouse::internal", { log.filter = directives, log.filter_for = duration.map(|duration| humantime::format_duration(duration).to_string()) }, "the log filter was changed");
        // A second change for a while falls back to what was before the first.
        let before = match falling_back.take() {
            Some((first, timer)) => {
                timer.abort();
                first
            }
            None => before,
        };
        if let Some(duration) = duration {
            let switch = Arc::clone(self);
            let timer = crate::telemetry::spawn("log filter", async move {
                tokio::time::sleep(duration).await;
                switch.fall_back();
            });
            *falling_back = Some((before, timer.abort_handle()));
        }
        Ok(())
    }

    fn fall_back(&self) {
        let mut falling_back = self.falling_back.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, _)) = falling_back.take() {
            match self.filter.set(&before) {
                Ok(()) => {
                    tracing::info!(target: "glasshouse::internal", { log.filter = before }, "the log filter fell back");
                }
                Err(reason) => {
                    tracing::error!(target: "glasshouse::internal", { error.message = reason }, "the log filter did not fall back");
                }
            }
        }
    }
}
