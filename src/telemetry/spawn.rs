//! Tasks with a name, inside the span they were begun in.

use std::future::Future;

use opentelemetry::trace::FutureExt;
use tokio::task::{Builder, JoinHandle};

use super::Request;

/// Begins a task on the current runtime. The name is a noun of the service, such as `connection` or `worker`; what the
/// task logs and calls belongs to the request and the span that are current now.
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let request = Request::current();
    let future = async move {
        match request {
            Some(request) => request.scope(future).await,
            None => future.await,
        }
    };
    Builder::new().name(name).spawn(future.with_current_context()).expect("only outside a runtime can this fail")
}
