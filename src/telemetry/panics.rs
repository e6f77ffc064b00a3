//! A panic is a bug, and bugs are seen: one structured line with the backtrace, one count.

use std::{
    backtrace::Backtrace,
    panic::{self, PanicHookInfo},
    sync::{Mutex, Once, PoisonError},
};

use super::{Counter, Metrics, catalog};

/// Who counts panics. The hook is the process's; a test process runs several services, and each counts them all.
static COUNTERS: Mutex<Vec<Counter>> = Mutex::new(Vec::new());

/// Counts and logs every panic of this process from now on, instead of printing it.
pub(super) fn install(metrics: &Metrics) {
    static HOOK: Once = Once::new();
    COUNTERS.lock().unwrap_or_else(PoisonError::into_inner).push(metrics.counter(&catalog::PANICS));
    HOOK.call_once(|| panic::set_hook(Box::new(report)));
}

fn report(info: &PanicHookInfo<'_>) {
    for counter in COUNTERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        counter.inc(&[]);
    }
    let message = info.payload_as_str().unwrap_or("a panic without words");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        target: "glasshouse::panic",
        {
            exception.type = "panic",
            exception.message = message,
            exception.stacktrace = %Backtrace::force_capture(),
            code.location = place,
            thread.name = thread.name().unwrap_or_default()
        },
        "panic"
    );
}
