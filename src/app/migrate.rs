//! Migrating at start, as soon as the database is there.

use std::{future::Future, time::Duration};

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
pub(super) async fn migrate(store: &Store, stop: Draining) -> bool {
    retry(|| store.migrate_up(), pause_after, stop).await
}

async fn retry<F>(
    migrate_up: impl Fn() -> F,
    pause_after: impl Fn(&MigrateError, u32) -> Duration,
    mut stop: Draining,
) -> bool
where
    F: Future<Output = Result<(), MigrateError>>,
{
    for attempt in 0.. {
        let error = tokio::select! {
            () = stop.asked() => return false,
            result = migrate_up() => match result {
                Ok(()) => return true,
                Err(error) => error,
            },
        };
        let pause = pause_after(&error, attempt);
        log_retry(&error, pause);
        tokio::select! {
            () = stop.asked() => return false,
            () = tokio::time::sleep(pause) => {}
        }
    }
    false
}

fn pause_after(error: &MigrateError, attempt: u32) -> Duration {
    if error.is_unavailable() { RETRY.wait(attempt, chance()) } else { RETRY_AFTER_REFUSAL }
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

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use super::*;
    use crate::lifecycle::drain;

    #[tokio::test]
    async fn migration_is_retried_after_every_error_until_it_is_applied() {
        let (_drain, stop) = drain();
        let attempts = Cell::new(0);
        let migrate_up = || {
            attempts.set(attempts.get() + 1);
            ready(match attempts.get() {
                1 => Err(MigrateError::NoAnswer("a connection", Duration::ZERO)),
                2 => Err(MigrateError::Encoding("LATIN1".to_owned())),
                3 => Err(MigrateError::Dirty(1)),
                _ => Ok(()),
            })
        };
        assert!(retry(migrate_up, |_, _| Duration::ZERO, stop).await);
        assert_eq!(attempts.get(), 4);
    }

    #[test]
    fn retry_pause_is_longer_after_an_error_that_an_operator_has_to_mend() {
        let no_answer = MigrateError::NoAnswer("a connection", Duration::ZERO);
        assert!((0..100).all(|attempt| pause_after(&no_answer, attempt) <= RETRY.longest));
        assert_eq!(pause_after(&MigrateError::Encoding("LATIN1".to_owned()), 0), RETRY_AFTER_REFUSAL);
    }

    #[tokio::test]
    async fn retries_end_when_the_service_stops() {
        let (drain, stop) = drain();
        let retries = retry(|| ready(Err(MigrateError::Pooled)), |_, _| Duration::from_hours(1), stop);
        assert_eq!(tokio::join!(drain.drain(Duration::from_mins(1)), retries), (true, false));
    }
}
