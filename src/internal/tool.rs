//! Blocking work of the diagnostic tools, on threads of its own.
//!
//! Tokio's pool of blocking threads panics where the system gives no thread. A tool answers 503 instead, and the service
//! goes on.

use std::{io, thread};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};
use tracing::{
    Dispatch,
    dispatcher::{get_default, with_default},
};

use crate::telemetry::{console::leave_out_this_thread, unsampled};

/// How many such threads there are at most; further work waits for its turn.
const MAX_THREADS: usize = 16;
static THREADS: Semaphore = Semaphore::const_new(MAX_THREADS);

/// Why a tool has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    #[error("the system gives no thread for this ({0}): raise the limit of tasks, or try again")]
    NoThread(#[from] io::Error),
    #[error("it panicked, as the log says")]
    Panicked,
}

/// Runs this to its end on a thread of its own, even if the caller has gone. Its allocations are not sampled.
///
/// # Errors
/// When the system gives no thread, or it panics.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ToolError> {
    let permit = THREADS.acquire().await.expect("the semaphore is never closed");
    let result = start(move || {
        let result = work();
        drop(permit);
        result
    })?;
    result.await.map_err(|_| ToolError::Panicked)
}

/// Begins this on a thread of its own and hands over where its result will be. The caller sees to it that there are few.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<oneshot::Receiver<T>> {
    start_on(thread::Builder::new(), work)
}

fn start_on<T: Send + 'static>(
    thread: thread::Builder,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    let (runtime, log) = (Handle::try_current(), get_default(Dispatch::clone));
    thread.name("internal-tool".to_owned()).spawn(move || {
        leave_out_this_thread();
        let _runtime = runtime.as_ref().map(Handle::enter).ok();
        // A receiver that is gone has no use for it.
        done.send(with_default(&log, || unsampled(work))).ok();
    })?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::thread::Builder;

    use super::{ToolError, run, start_on};

    #[tokio::test]
    async fn tool_without_thread_returns_an_error() {
        let impossible = Builder::new().stack_size(1 << 46);
        let error = ToolError::from(start_on(impossible, || 1).expect_err("no machine has such a stack"));
        assert!(error.to_string().starts_with("the system gives no thread for this ("), "{error}");
    }

    #[tokio::test]
    async fn tool_returns_its_result_or_that_it_panicked() {
        assert_eq!(run(|| 7).await.unwrap(), 7);
        assert!(matches!(run(|| panic!("on purpose")).await, Err::<(), _>(ToolError::Panicked)));
    }
}
