//! The signals that stop the service.

use std::{fs, future::poll_fn, io, task::Poll};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::telemetry;

/// The name of a signal, and its kind.
type StopSignal = (&'static str, fn() -> SignalKind);

/// Signals whose default is to end the process at once, without a line and with requests cut. The orchestrator sends
/// SIGTERM, the terminal SIGINT, and SIGHUP when it closes. The others have no meaning here; they stop the service too,
/// but in order.
const SIGNALS: [StopSignal; 7] = [
    ("SIGTERM", SignalKind::terminate),
    ("SIGINT", SignalKind::interrupt),
    ("SIGHUP", SignalKind::hangup),
    ("SIGUSR1", SignalKind::user_defined1),
    ("SIGUSR2", SignalKind::user_defined2),
    ("SIGALRM", SignalKind::alarm),
    ("SIGIO", SignalKind::io),
];

/// Each request to stop, as the name of its signal. A signal that the parent process had ignored stays ignored: `nohup`
/// does so with SIGHUP. SIGTERM and SIGINT always count.
///
/// # Errors
/// When the system does not let us listen.
///
/// # Panics
/// Outside a runtime.
pub fn stop_signals() -> io::Result<mpsc::Receiver<&'static str>> {
    let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let mut signals = Vec::new();
    for (name, kind) in SIGNALS {
        let is_ignored = ignored >> (kind().as_raw_value() - 1) & 1 == 1;
        if !is_ignored || matches!(name, "SIGTERM" | "SIGINT") {
            signals.push((name, signal(kind())?));
        }
    }
    // Two are all that matter: the first begins to stop, the second ends it.
    let (asked, requests) = mpsc::channel(2);
    telemetry::spawn("signals", async move {
        loop {
            let name = poll_fn(|context| {
                let mut polled = signals.iter_mut().map(|(name, signal)| signal.poll_recv(context).map(|_| *name));
                polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
            })
            .await;
            if asked.send(name).await.is_err() {
                return;
            }
        }
    });
    Ok(requests)
}

/// The signals that this process ignores, of `/proc/self/status`: bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::ignored;

    #[test]
    fn ignored_signals_are_read_from_proc_status() {
        assert_eq!(ignored("Name:\tglasshouse\nSigIgn:\t0000000000001001\nSigCgt:\t0"), 0x1001);
        assert_eq!(ignored(""), 0);
    }
}
