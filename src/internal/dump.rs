//! Dumps of threads and tasks into the log, as SIGQUIT asks for. The service goes on.

use std::{fmt::Write, fs, io, time::Duration};

use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
};

use super::{pprof, stacks, tool};
use crate::telemetry::{
    self,
    symbols::{Symbols, check_room},
    tasks,
};

/// How long the threads may take to write down their stacks.
const CAPTURE_TIMEOUT: Duration = Duration::from_millis(500);
/// The most threads that are asked, and the most groups of tasks that are logged.
const MAX_RECORDS: usize = 200;
/// Collectors cut lines at 16 KiB, and a stack has quotes that JSON escapes.
const MAX_STACK_BYTES: usize = 8 * 1024;

/// From now on, each SIGQUIT writes a dump into the log. The tasks are those of these runtimes.
///
/// # Errors
/// When the system refuses the signal handler.
///
/// # Panics
/// Outside a runtime, which is the one that handles the signal.
pub fn dump_on_sigquit(runtimes: &[(&'static str, Handle)]) -> io::Result<()> {
    let mut quit = signal(SignalKind::quit())?;
    let runtimes: Vec<_> = runtimes.iter().map(|(_, runtime)| runtime.id()).collect();
    telemetry::spawn("dump", async move {
        while quit.recv().await.is_some() {
            tracing::warn!(target: "glasshouse::internal", { signal = "SIGQUIT" }, "dumping threads and tasks");
            if let Err(short) = check_room() {
                let error = short.to_string();
                tracing::warn!(target: "glasshouse::internal", { error.message = error }, "the dump was refused");
                continue;
            }
            let waiting = tasks::dump(&runtimes).await;
            let written = tool::run(move || {
                log_threads();
                log_tasks(waiting);
            });
            if let Err(error) = written.await {
                let error = error.to_string();
                tracing::warn!(target: "glasshouse::internal", { error.message = error }, "the dump has failed");
            }
        }
    });
    Ok(())
}

fn log_threads() {
    let tids = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let tids: Vec<i32> = tids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(MAX_RECORDS).collect();
    let captured = match stacks::of(&tids, CAPTURE_TIMEOUT) {
        Ok(captured) => captured,
        Err(unavailable) => {
            let error = unavailable.to_string();
            tracing::warn!(target: "glasshouse::internal", { error.message = error }, "threads cannot be dumped");
            return;
        }
    };
    let stacks = captured.iter().filter_map(|captured| captured.stack.as_ref());
    let symbols = Symbols::look_up(stacks.flat_map(|stack| stack.addresses.iter().copied()));
    let symbols = symbols.unwrap_or_else(|short| Symbols::unnamed(short.to_string()));
    for captured in captured {
        let name = fs::read_to_string(format!("/proc/self/task/{}/comm", captured.tid)).unwrap_or_default();
        let text = match &captured.stack {
            Some(stack) => stack_text(&symbols, &stack.addresses),
            None => "the thread did not answer in time".to_owned(),
        };
        tracing::warn!(
            target: "glasshouse::internal",
            { thread.name = name.trim_end(), thread.id = captured.tid.to_string(), code.stacktrace = cut(&text) },
            "thread dump"
        );
    }
}

fn stack_text(symbols: &Symbols, addresses: &[usize]) -> String {
    let mut text = String::new();
    for location in symbols.stack(addresses) {
        for frame in &*location.frames {
            writeln!(text, "{} {}:{}", frame.name, frame.file, frame.line).expect("writing to memory cannot fail");
        }
    }
    text
}

fn log_tasks(waiting: tasks::Dump) {
    let text = match pprof::task_listing(waiting) {
        Ok(text) => text,
        Err(short) => {
            let error = short.to_string();
            tracing::warn!(target: "glasshouse::internal", { error.message = error }, "tasks cannot be dumped");
            return;
        }
    };
    for group in text.split("\n\n").take(MAX_RECORDS) {
        tracing::warn!(target: "glasshouse::internal", { code.stacktrace = cut(group) }, "task dump");
    }
}

/// At most so many bytes of a text, to the end of a character.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_STACK_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::{MAX_STACK_BYTES, cut};

    #[test]
    fn dumped_stack_is_cut_at_a_character() {
        let long = "ä".repeat(MAX_STACK_BYTES);
        assert_eq!((cut("short"), cut(&long).len()), ("short", MAX_STACK_BYTES));
        assert_eq!(cut(&format!("a{long}")).len(), MAX_STACK_BYTES - 1);
    }
}
