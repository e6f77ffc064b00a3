//! A panic is a bug, and bugs are seen: one structured line with the backtrace, one count.

use std::{
    fmt::Write,
    panic::{self, PanicHookInfo},
    sync::{Mutex, Once, PoisonError},
};

use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

use super::{
    Counter, Metrics, catalog,
    symbols::{Frame, Symbols},
};

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
            exception.stacktrace = stack_trace(),
            code.location = place,
            thread.name = thread.name().unwrap_or_default()
        },
        "panic"
    );
}

/// No stack of ours is deeper.
const MAX_CALLS: usize = 256;

/// The calls that led to the panic, the innermost first, with names where there is memory to look them up.
///
/// The standard library's own `Backtrace` reads all debug information into memory, 80 MB and more, and keeps it: under a
/// memory limit the first panic would end the process. It also reads the file that lies at the executable's path now.
fn stack_trace() -> String {
    let mut calls = Vec::with_capacity(64);
    backtrace::trace(|frame| {
        // A call returns to the instruction after it.
        calls.push((frame.ip() as usize).saturating_sub(1));
        calls.len() < MAX_CALLS
    });
    let symbols = Symbols::look_up(calls.iter().copied()).unwrap_or_else(|short| Symbols::unnamed(short.to_string()));
    let frames: Vec<_> = calls
        .iter()
        .flat_map(|&call| symbols.frames(call).iter().map(|frame| (call, frame.clone())).collect::<Vec<_>>())
        .collect();
    // The innermost calls are this function and the panic's own.
    let hook = frames.iter().position(|(_, frame)| frame.name.contains("panic_with_hook")).unwrap_or_default();
    let is_panicking = |frame: &Frame| PANICKING.iter().any(|start| frame.name.starts_with(start));
    let frames = frames[hook..].iter().skip_while(|(_, frame)| is_panicking(frame));
    let mut text = String::new();
    for (number, (call, frame)) in frames.enumerate() {
        write!(text, "{number:>4}: {} ({call:#x})", frame.name).expect(IN_MEMORY);
        if frame.line > 0 {
            write!(text, "\n        at {}:{}", frame.file, frame.line).expect(IN_MEMORY);
        }
        text.push('\n');
    }
    for reason in &symbols.missing {
        writeln!(text, "(not all functions have names: {reason})").expect(IN_MEMORY);
    }
    text
}

/// How the names of the functions begin through which a panic reaches its hook.
const PANICKING: [&str; 7] = [
    "std::panicking::",
    "std::panic::panic_any",
    "std::sys::backtrace::__rust_end_short_backtrace",
    "__rustc::rust_begin_unwind",
    "core::panicking::",
    "core::option::",
    "core::result::",
];
const IN_MEMORY: &str = "writing to memory cannot fail";

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io,
        panic::catch_unwind,
        sync::{Arc, Mutex},
    };

    use tracing::subscriber::with_default;
    use tracing_subscriber::{fmt, layer::SubscriberExt, registry};

    use super::install;
    use crate::telemetry::{
        Metrics,
        log_format::{JsonLine, LogLine},
    };

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_line_with_its_place_and_its_stack_and_is_counted() {
        let (metrics, kept) = (Metrics::new(100), Kept::default());
        install(&metrics);
        let writer = kept.clone();
        let log = fmt::layer()
            .event_format(LogLine::new(false, JsonLine::new(&BTreeMap::new()), &metrics))
            .with_writer(move || writer.clone());
        with_default(registry().with(log), || catch_unwind(|| panic!("a canary in a mine")).unwrap_err());

        let line: serde_json::Value = serde_json::from_slice(&kept.0.lock().unwrap()).expect("one line");
        assert_eq!((line["level"].as_str(), line["exception.type"].as_str()), (Some("ERROR"), Some("panic")));
        assert_eq!(line["exception.message"], "a canary in a mine");
        assert!(kept.0.lock().unwrap().len() < 16 * 1024, "container runtimes cut longer lines");
        assert!(line["exception.stacktrace"].as_str().unwrap().contains("panics"), "{line}");
        assert!(line["code.location"].as_str().unwrap().starts_with(file!()), "{line}");
        assert!(line["thread.name"].is_string(), "{line}");
        let families = metrics.gather();
        let counted = families.iter().find(|family| family.name() == "glasshouse_panics_total").unwrap();
        assert!(counted.get_metric()[0].get_counter().get_value() >= 1.0);
    }
}
