//! Tasks with a name, inside the span they were begun in.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use opentelemetry::trace::FutureExt;
use pin_project_lite::pin_project;
use tokio::{
    runtime::Handle,
    task::{Builder, JoinHandle},
};

use super::{places::looking, polls::Polling, registry::Listed};
use crate::telemetry::Request;

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
    let listed = Listed::new(name, Location::caller());
    let future = Seen { future, listed };
    let future = async move {
        match request {
            Some(request) => request.scope(future).await,
            None => future.await,
        }
    };
    Builder::new().name(name).spawn(future.with_current_context()).expect("only outside a runtime can this fail")
}

/// As [`spawn`], on that runtime.
#[track_caller]
pub fn spawn_on<F>(runtime: &Handle, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let _on = runtime.enter();
    spawn(name, future)
}

pin_project! {
    /// A task's future, which can be looked at from outside while it is polled.
    struct Seen<F> {
        #[pin]
        future: F,
        listed: Listed,
    }
}

impl<F: Future> Future for Seen<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let task = &this.listed.0;
        let _polling = Polling::begin(task.id);
        task.begin(context.waker());
        let mut outcome = outermost(this.future.as_mut(), context);
        // What it could do is done: a second poll finds it where it stands.
        if outcome.is_pending()
            && let Some(question) = task.take_question()
        {
            let (again, places) = looking(context, |context| outermost(this.future, context));
            question.answer(task.id, places);
            outcome = again;
        }
        outcome
    }
}

/// Never inlined: so that the outermost async function has a frame of its own in every stack, and this name says where
/// the task begins.
#[inline(never)]
fn outermost<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}
