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
/// How long a filter is in force if the request does not say.
const DEFAULT_DURATION: Duration = Duration::from_mins(30);

/// GET never changes anything. PUT changes the filter for a while, DELETE restores the one of the settings.
pub(super) fn routes(filter: LogFilter) -> MethodRouter {
    let switch = Arc::new(Switch { filter, timer: Mutex::new(None) });
    get(show).put(change).delete(restore).layer(DefaultBodyLimit::max(MAX_BYTES)).with_state(switch)
}

struct Switch {
    filter: LogFilter,
    /// Restores the filter of the settings.
    timer: Mutex<Option<AbortHandle>>,
}

async fn show(State(switch): State<Arc<Switch>>) -> String {
    switch.filter.get() + "\n"
}

/// The body is an `EnvFilter`. It falls back to the filter of the settings by itself, with `for=10m` after that time.
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
        Ok(duration) => duration.unwrap_or(DEFAULT_DURATION),
        Err(reason) => return refused(reason),
    };
    match switch.change(directives, duration) {
        Ok(()) => (StatusCode::OK, switch.filter.get() + "\n"),
        Err(reason) => refused(format!("the filter cannot be read: {reason}")),
    }
}

async fn restore(State(switch): State<Arc<Switch>>) -> String {
    switch.restore();
    switch.filter.get() + "\n"
}

impl Switch {
    fn change(self: &Arc<Self>, directives: &str, duration: Duration) -> Result<(), String> {
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = LogFilter::fault(directives) {
            return Err(fault);
        }
        let lasting = humantime::format_duration(duration).to_string();
        // Under the filter that was in force until now: the new one may silence this line.
        tracing::warn!(target: "glasshouse::internal", { log.filter = directives, log.filter_for = lasting }, "log filter changed");
        self.filter.set(directives)?;
        if let Some(timer) = timer.take() {
            timer.abort();
        }
        let switch = Arc::clone(self);
        let restoring = crate::telemetry::spawn("log filter", async move {
            tokio::time::sleep(duration).await;
            switch.restore();
        });
        *timer = Some(restoring.abort_handle());
        Ok(())
    }

    /// Restores the filter of the settings, if another one is in force.
    fn restore(&self) {
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = timer.take() else { return };
        running.abort();
        match self.filter.restore() {
            Ok(()) => {
                let filter = self.filter.get();
                tracing::info!(target: "glasshouse::internal", { log.filter = filter }, "log filter restored");
            }
            Err(reason) => {
                tracing::error!(target: "glasshouse::internal", { error.message = reason }, "log filter not restored");
            }
        }
    }
}
