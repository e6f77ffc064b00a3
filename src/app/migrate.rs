//! Migrating at start, as soon as the database is there.

use std::time::Duration;

use crate::{
    lifecycle::Draining,
    store::{MigrateError, Store},
    telemetry::Chain,
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Migrates, and says whether the tables are as this program wants them. A database that is away is tried again until
/// somebody asks to stop; migrations that are broken are not, and the service stays alive and not ready, so that
/// whoever is called can look at it.
pub(super) async fn migrate(store: &Store, mut stop: Draining) -> bool {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = tokio::select! {
            () = stop.asked() => return false,
            result = store.migrate_up() => match result {
                Ok(()) => return true,
                Err(error) => error,
            },
        };
        say(&error, pause);
        if !error.is_unavailable() {
            return false;
        }
        tokio::select! {
            () = stop.asked() => return false,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn say(error: &MigrateError, pause: Duration) {
    let message = Chain(error);
    if error.is_unavailable() {
        tracing::warn!(
            target: "glasshouse::app",
            { error.message = %message, retry_seconds = pause.as_secs_f64() },
            "the database cannot be migrated yet"
        );
    } else {
        tracing::error!(target: "glasshouse::app", { error.message = %message }, "the database cannot be migrated");
    }
}
