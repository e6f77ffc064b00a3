//! Removes what has been kept long enough: without it, every sign-in would leave a row for ever.

use std::{error::Error, future::Future, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::time::{MissedTickBehavior, interval};

use super::clock::ClockWatch;
use crate::{
    domain::{
        Clock,
        audit::Audit,
        auth::{self, Auth},
        users::Users,
    },
    lifecycle::Draining,
    telemetry::{Chain, Tracer},
};

/// How often. An expired session is refused in any case; this only bounds how many are kept.
const PERIOD: Duration = Duration::from_mins(5);

/// How often the clock is compared with the elapsed time. Each comparison wakes an idle process once.
const CLOCK_CHECK_PERIOD: Duration = Duration::from_mins(1);

/// How long sweeps wait where the clock may be ahead: NTP or the operator can correct it in that time. A sweep by such
/// a clock removes sessions, idempotency keys and audit entries that should be kept.
const SWEEP_DELAY: Duration = Duration::from_hours(1);

/// A smaller step ahead removes nothing that matters.
const MAX_STEP: TimeDelta = TimeDelta::hours(1);

/// Whose leftovers are removed.
pub struct Sweeper {
    /// Sessions that have expired.
    pub auth: Arc<Auth>,
    /// Idempotency keys that nobody uses again.
    pub users: Arc<Users>,
    /// What admins did long ago.
    pub audit: Arc<Audit>,
    /// The clock that decides what has expired.
    pub clock: Clock,
    /// Makes the sweeps' spans.
    pub tracer: Tracer,
}

impl Sweeper {
    /// Sweeps until it is asked to stop; a sweep under way is finished first.
    pub async fn run(self, mut draining: Draining) {
        let mut watch = ClockWatch::start(self.clock.clone());
        let (mut sweeps, mut checks) = (interval(PERIOD), interval(CLOCK_CHECK_PERIOD));
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_checked_sessions = false;
        loop {
            let is_sweep_due = tokio::select! {
                () = draining.asked() => {
                    watch.check();
                    return;
                }
                _ = checks.tick() => false,
                _ = sweeps.tick() => true,
            };
            if watch.check().is_some_and(|step| step > MAX_STEP) {
                sweeps.reset_after(SWEEP_DELAY);
            } else if is_sweep_due && has_checked_sessions {
                self.sweep().await;
            } else if is_sweep_due {
                match self.is_past_all_sessions().await {
                    Ok(false) => {
                        has_checked_sessions = true;
                        self.sweep().await;
                    }
                    Ok(true) => {
                        has_checked_sessions = true;
                        sweeps.reset_after(SWEEP_DELAY);
                    }
                    // The next tick checks again.
                    Err(_) => {}
                }
            }
        }
    }

    /// Returns whether the clock is past the expiry of every session, which a clock that is far ahead is at the start.
    /// Only at the start: one sign-in by that clock adds a session that has not expired. A service that was stopped for
    /// longer than sessions live is past them too, and its sweeps can wait as well.
    async fn is_past_all_sessions(&self) -> Result<bool, auth::Error> {
        let span = self.tracer.background("check clock");
        let check = async {
            let newest = self.auth.newest_expiry().await.inspect_err(|error| {
                span.fail(error.code());
                tracing::error!(
                    target: "glasshouse::worker",
                    { error.type = error.code(), error.message = %Chain(error) },
                    "clock was not compared with the sessions, sweeps wait"
                );
            })?;
            let past = newest.map(|newest| self.clock.now() - newest).filter(|past| *past > TimeDelta::zero());
            if let Some(past) = past {
                tracing::warn!(
                    target: "glasshouse::worker",
                    { clock.offset_seconds = past.as_seconds_f64() },
                    "clock is past the expiry of every session and may be ahead: sweeps wait for an hour"
                );
            }
            Ok(past.is_some())
        };
        span.within(check).await
    }

    /// One after the other: they write to one database, and nobody waits for them.
    async fn sweep(&self) {
        let Self { auth, users, audit, tracer, .. } = self;
        let work = async { auth.sweep().await.map_err(|error| Failed::new(error.code(), &error)) };
        sweep(tracer, "sweep sessions", work, |sessions| {
            tracing::info!(target: "glasshouse::worker", { sessions }, "expired sessions were removed");
        })
        .await;
        let work = async { users.sweep_keys().await.map_err(|error| Failed::new(error.code(), &error)) };
        sweep(tracer, "sweep idempotency keys", work, |idempotency_keys| {
            tracing::info!(target: "glasshouse::worker", { idempotency_keys }, "old idempotency keys were forgotten");
        })
        .await;
        let work = async { audit.sweep().await.map_err(|error| Failed::new(error.code(), &error)) };
        sweep(tracer, "sweep audit", work, |audit_entries| {
            tracing::info!(target: "glasshouse::worker", { audit_entries }, "old entries of the trail were removed");
        })
        .await;
    }
}

/// Why a sweep came to nothing.
struct Failed {
    code: &'static str,
    chain: String,
}

impl Failed {
    fn new(code: &'static str, error: &(dyn Error + 'static)) -> Self {
        Self { code, chain: Chain(error).to_string() }
    }
}

/// One sweep in its span, and what the log has to say of it.
async fn sweep(
    tracer: &Tracer,
    name: &'static str,
    work: impl Future<Output = Result<u64, Failed>>,
    told: impl FnOnce(u64),
) {
    let span = tracer.background(name);
    let tell = async {
        match work.await {
            Ok(0) => {}
            Ok(removed) => told(removed),
            Err(Failed { code, chain }) => {
                span.fail(code);
                tracing::error!(
                    target: "glasshouse::worker",
                    { error.type = code, error.message = chain },
                    "{name}: what is old could not be removed"
                );
            }
        }
    };
    span.within(tell).await;
}
