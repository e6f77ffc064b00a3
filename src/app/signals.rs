//! The signals that stop the service.

use std::{fs, future::poll_fn, io, ops::Range, task::Poll};

use rustix::process::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::telemetry;

/// The name of a signal, and its kind.
type StopSignal = (&'static str, fn() -> SignalKind);

/// Signals whose default is to end the process at once, without a line and with requests cut. The orchestrator sends
/// SIGTERM, the terminal SIGINT, and SIGHUP when it closes; LXC sends SIGPWR, and the system SIGXCPU at the soft limit of
/// CPU time. The others have no meaning here; they stop the service too, but in order.
const SIGNALS: &[StopSignal] = &[
    ("SIGTERM", SignalKind::terminate),
    ("SIGINT", SignalKind::interrupt),
    ("SIGHUP", SignalKind::hangup),
    ("SIGUSR1", SignalKind::user_defined1),
    ("SIGUSR2", SignalKind::user_defined2),
    ("SIGALRM", SignalKind::alarm),
    ("SIGVTALRM", || kind(Signal::VTALARM)),
    ("SIGIO", SignalKind::io),
    (CPU_LIMIT, || kind(Signal::XCPU)),
    #[cfg(target_os = "linux")]
    ("SIGPWR", || kind(Signal::POWER)),
    #[cfg(target_os = "linux")]
    ("SIGSTKFLT", || kind(Signal::STKFLT)),
];
/// The system repeats it after each second of CPU time, so only the first one is a request.
const CPU_LIMIT: &str = "SIGXCPU";
/// The real-time signals that glibc leaves to programs, from SIGRTMIN on. systemd's containers end by SIGRTMIN+3.
const REAL_TIME: Range<i32> = if cfg!(target_os = "linux") { 34..65 } else { 0..0 };

const fn kind(signal: Signal) -> SignalKind {
    SignalKind::from_raw(signal.as_raw())
}

/// Each request to stop, as the name of its signal. A signal that the parent process had ignored stays ignored: `nohup`
/// does so with SIGHUP. SIGTERM and SIGINT always count. From now on, a write beyond the limit of file sizes is an error
/// (EFBIG), and no longer the end of the process by SIGXFSZ.
///
/// # Errors
/// When the system does not let us listen.
///
/// # Panics
/// Outside a runtime.
pub fn stop_signals() -> io::Result<mpsc::Receiver<&'static str>> {
    let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let is_ignored = |kind: SignalKind| ignored >> (kind.as_raw_value() - 1) & 1 == 1;
    let mut signals = Vec::new();
    for (name, kind) in SIGNALS {
        if !is_ignored(kind()) || matches!(*name, "SIGTERM" | "SIGINT") {
            signals.push((*name, signal(kind())?));
        }
    }
    for number in REAL_TIME {
        let kind = SignalKind::from_raw(number);
        // Another C library keeps more of them for itself, and refuses those.
        if let (false, Ok(listener)) = (is_ignored(kind), signal(kind)) {
            let name: &str = format!("SIGRTMIN+{}", number - REAL_TIME.start).leak();
            signals.push((name, listener));
        }
    }
    // The handler stays installed when the listener is dropped. A log line here could cause the next such write.
    drop(signal(kind(Signal::XFSZ))?);
    // Two are all that matter: the first begins to stop, the second ends it.
    let (asked, requests) = mpsc::channel(2);
    telemetry::spawn("signals", async move {
        loop {
            let name = poll_fn(|context| {
                let mut polled = signals.iter_mut().map(|(name, signal)| signal.poll_recv(context).map(|_| *name));
                polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
            })
            .await;
            signals.retain(|(other, _)| *other != CPU_LIMIT || name != CPU_LIMIT);
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
