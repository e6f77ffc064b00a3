//! Removes what has been kept long enough: without it, every sign-in would leave a row for ever.

use std::{error::Error, future::Future, sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use crate::{
    domain::{audit::Audit, auth::Auth, users::Users},
    lifecycle::Draining,
    telemetry::{Chain, Tracer},
};

/// How often. An expired session is refused in any case; this only bounds how many are kept.
const PERIOD: Duration = Duration::from_mins(5);

/// Whose leftovers are removed.
pub struct Sweeper {
    /// Sessions that have expired.
    pub auth: Arc<Auth>,
    /// Idempotency keys that nobody uses again.
    pub users: Arc<Users>,
    /// What admins did long ago.
    pub audit: Arc<Audit>,
    /// Makes the sweeps' spans.
    pub tracer: Tracer,
}

impl Sweeper {
    /// Sweeps until it is asked to stop; a sweep under way is finished first.
    pub async fn run(self, mut draining: Draining) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = draining.asked() => return,
                _ = ticks.tick() => {}
            }
            self.sweep().await;
        }
    }

    /// One after the other: they write to one database, and nobody waits for them.
    async fn sweep(&self) {
        let Self { auth, users, audit, tracer } = self;
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
