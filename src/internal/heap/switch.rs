//! `/debug/heap`: whether the heap is sampled, and switching it on, for a while or for good, and off.

use axum::{
    extract::RawQuery,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    allocator::{self, Lacking},
    sampling::{Sampling, SwitchError, sampling, switch_off, switch_on, tell_off, tell_on},
};
use crate::internal::{
    lease,
    tool::{self, ToolError},
};

/// GET never changes anything. PUT switches on, DELETE switches off. A POST would need no preflight from a browser.
pub(in crate::internal) fn routes() -> MethodRouter {
    get(show).put(begin).delete(end)
}

async fn show() -> Response {
    blocking(state).await.unwrap_or_else(|refusal| refusal)
}

/// With `for=10m` it ends by itself.
async fn begin(RawQuery(query): RawQuery) -> Response {
    let duration = match lease::parse(query.as_deref().unwrap_or_default()) {
        Ok(duration) => duration,
        Err(reason) => return (StatusCode::BAD_REQUEST, reason + "\n").into_response(),
    };
    switched(blocking(move || switch_on(duration)).await, || tell_on(duration)).await
}

async fn end() -> Response {
    switched(blocking(switch_off).await, tell_off).await
}

async fn switched(outcome: Result<Result<bool, SwitchError>, Response>, tell: impl FnOnce()) -> Response {
    match outcome {
        Ok(Ok(has_changed)) => {
            if has_changed {
                tell();
            }
            show().await
        }
        Ok(Err(error)) => refusal(&error),
        Err(refusal) => refusal,
    }
}

/// How many requests ask the allocator at once. It answers them one after the other.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Off this port's one thread: jemalloc is not switched, and what it forgets not forgotten, while it writes a profile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
    // The work goes on if the client does not wait, and so does its permit.
    let turn = TURNS.acquire().await.expect("the semaphore is never closed");
    let work = move || {
        let _turn = turn;
        work()
    };
    tool::run(work).await.map_err(|error| {
        let status = match error {
            ToolError::NoThread(_) => StatusCode::SERVICE_UNAVAILABLE,
            ToolError::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{error}\n")).into_response()
    })
}

fn state() -> Response {
    let mut shown =
        serde_json::to_string_pretty(&described()).expect("what is made of texts and numbers can be written");
    shown.push('\n');
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], shown).into_response()
}

fn described() -> Value {
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let (since, until, meaning) = match (sampling(), allocator::lacking()) {
        (_, Some(lacking)) => (None, None, lacking.to_string()),
        (Sampling::Off, None) => (None, None, "off: PUT switches it on, with ?for=10m for a while".to_owned()),
        (Sampling::On { since, until, .. }, None) => (
            Some(since.map_or_else(|| "the start of the process".to_owned(), time)),
            until.map(time),
            "on: what was allocated before is in no profile; DELETE switches it off and forgets".to_owned(),
        ),
    };
    let (allocated, resident) = allocator::size().unzip();
    json!({
        "sampling": since.is_some(),
        "since": since,
        "until": until,
        "interval_bytes": allocator::interval(),
        "allocated_bytes": allocated,
        "resident_bytes": resident,
        "meaning": meaning,
    })
}

fn refusal(error: &SwitchError) -> Response {
    let status = match error {
        SwitchError::Lacking(Lacking::Platform) => StatusCode::NOT_IMPLEMENTED,
        SwitchError::Lacking(Lacking::Option) | SwitchError::Refused(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{error}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use axum::http::StatusCode;
    use futures_util::FutureExt;

    use super::{end, show};
    use crate::internal::heap::{ALONE, sampling};

    #[tokio::test]
    async fn whoever_waits_for_the_allocator_does_not_keep_this_ports_thread() {
        let _alone = ALONE.lock().await;
        let ((locked, is_locked), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        let switching = thread::spawn(move || {
            sampling::while_switching(|| {
                locked.send(()).unwrap();
                released.recv_timeout(Duration::from_secs(5)).is_ok()
            })
        });
        is_locked.recv().unwrap();
        let (mut shown, mut ended) = (Box::pin(show()), Box::pin(end()));
        assert!(shown.as_mut().now_or_never().is_none() && ended.as_mut().now_or_never().is_none());
        release.send(()).unwrap();
        assert!(switching.join().unwrap(), "this thread was not kept");
        assert_eq!((shown.await.status(), ended.await.status()), (StatusCode::OK, StatusCode::OK));
    }
}
