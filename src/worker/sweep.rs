//! Removes what has expired: without it, every sign-in would leave a row for ever.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use crate::{
    domain::auth::Auth,
    lifecycle::Draining,
    telemetry::{Chain, Span, Tracer},
};

/// How often. An expired session is refused in any case; this only bounds how many are kept.
const PERIOD: Duration = Duration::from_mins(5);

/// Sweeps until it is asked to stop; a sweep under way is finished first.
pub async fn sweep(auth: Arc<Auth>, tracer: Tracer, mut draining: Draining) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = draining.asked() => return,
            _ = ticks.tick() => {}
        }
        let span = tracer.background("sweep sessions");
        span.within(sweep_once(&auth, &span)).await;
    }
}

/// One sweep, and what the log has to say of it.
async fn sweep_once(auth: &Auth, span: &Span) {
    match auth.sweep().await {
        Ok(0) => {}
        Ok(sessions) => tracing::info!(target: "glasshouse::worker", { sessions }, "expired sessions were removed"),
        Err(error) => {
            span.fail(error.code());
            tracing::error!(
                target: "glasshouse::worker",
                { error.type = error.code(), error.message = %Chain(&error) },
                "expired sessions could not be removed"
            );
        }
    }
}
