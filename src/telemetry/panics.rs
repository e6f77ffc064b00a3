//! A panic is a bug, and bugs are seen: one structured line with the backtrace, one count.

use std::{
    backtrace::Backtrace,
    panic::{self, PanicHookInfo},
    sync::{Mutex, Once, PoisonError},
};

use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

use super::{Counter, Metrics, catalog};

/// Who counts panics. The hook is the process's; a test process runs several services, and each counts what happens
/// on the threads of any.
static COUNTERS: Mutex<Vec<Counter>> = Mutex::new(Vec::new());

/// Counts and logs every panic of this process from now on. One on a thread that logs nowhere is not the service's:
/// it is printed as before.
pub(super) fn install(metrics: &Metrics) {
    static HOOK: Once = Once::new();
    COUNTERS.lock().unwrap_or_else(PoisonError::into_inner).push(metrics.counter(&catalog::PANICS));
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if dispatcher::get_default(Dispatch::is::<NoSubscriber>) {
                print(info);
            } else {
                count();
                log(info);
            }
        }));
    });
}

fn count() {
    for counter in COUNTERS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        counter.inc(&[]);
    }
}

fn log(info: &PanicHookInfo<'_>) {
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
