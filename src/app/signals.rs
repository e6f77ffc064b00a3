//! SIGTERM and SIGINT, as requests to stop.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::telemetry;

/// Each request to stop, by who asked: the orchestrator's SIGTERM, the terminal's SIGINT.
///
/// # Errors
/// When the system does not let us listen.
///
/// # Panics
/// Outside a runtime.
pub fn stop_signals() -> std::io::Result<mpsc::Receiver<&'static str>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Two are all that matter: the first begins to stop, the second ends it.
    let (asked, requests) = mpsc::channel(2);
    telemetry::spawn("signals", async move {
        loop {
            let who = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if asked.send(who).await.is_err() {
                return;
            }
        }
    });
    Ok(requests)
}
