//! Migrating at start, as soon as the database is there.

use std::time::Duration;

use crate::{
    lifecycle::Draining,
    resilience::backoff::{Backoff, chance},
    store::{MigrateError, Store},
    telemetry::Chain,
};

/// Pauses after a failure that may pass by itself.
const RETRY: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };

/// Pause after a failure that an operator has to mend, such as a missing privilege.
const RETRY_AFTER_REFUSAL: Duration = Duration::from_secs(30);

/// Applies the migrations, and retries until they are applied or the process is asked to stop: the service is alive and
/// not ready meanwhile. Returns whether the schema is as this program needs it.
pub(super) async fn migrate(store: &Store, mut stop: Draining) -> bool {
    for attempt in 0.. {
        let error = tokio::select! {
            () = stop.asked() => return false,
            result = store.migrate_up() => match result {
                Ok(()) => return true,
                Err(error) => error,
            },
        };
        let pause = if error.is_unavailable() { RETRY.wait(attempt, chance()) } else { RETRY_AFTER_REFUSAL };
        log_retry(&error, pause);
        tokio::select! {
            () = stop.asked() => return false,
            () = tokio::time::sleep(pause) => {}
        }
    }
    false
}

fn log_retry(error: &MigrateError, pause: Duration) {
    let message = Chain(error);
    if error.is_unavailable() {
        tracing::warn!(
            target: "glasshouse::app",
            { error.message = %message, retry_seconds = pause.as_secs_f64() },
            "the database cannot be migrated yet"
        );
    } else {
        tracing::error!(
            target: "glasshouse::app",
            { error.message = %message, retry_seconds = pause.as_secs_f64() },
            "the database cannot be migrated"
        );
    }
}
