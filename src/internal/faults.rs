//! `/debug/faults`: which faults are injected, and for how long yet; injecting others, and ending them.

use std::time::Duration;

use axum::{
    Json,
    extract::{DefaultBodyLimit, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

use super::{lease, upload::Upload};
use crate::faults::{MAX_BYTES, Refusal, Switchboard};

/// Whoever forgets a fault has it no longer than this.
const LONGEST: Duration = Duration::from_hours(1);
const USUAL: Duration = Duration::from_mins(10);

/// GET never changes anything. PUT replaces all that is on, DELETE ends it.
pub(super) fn routes(faults: Switchboard) -> MethodRouter {
    get(show).put(change).delete(end).layer(DefaultBodyLimit::max(MAX_BYTES)).with_state(faults)
}

async fn show(State(faults): State<Switchboard>) -> Response {
    state(&faults)
}

/// The body is a JSON list of faults; they end by themselves, with `for=30s` sooner.
async fn change(State(faults): State<Switchboard>, RawQuery(query): RawQuery, Upload(body): Upload) -> Response {
    let lasting = match lease::parse_within(LONGEST, query.as_deref().unwrap_or_default()) {
        Ok(lasting) => lasting.unwrap_or(USUAL),
        Err(reason) if faults.is_allowed() => return refused(&Refusal::Wrong(reason)),
        Err(_) => return refused(&Refusal::Forbidden),
    };
    switched(&faults, faults.set(&body, lasting))
}

async fn end(State(faults): State<Switchboard>) -> Response {
    switched(&faults, faults.end())
}

fn switched(faults: &Switchboard, outcome: Result<(), Refusal>) -> Response {
    match outcome {
        Ok(()) => state(faults),
        Err(refusal) => refused(&refusal),
    }
}

fn state(faults: &Switchboard) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(faults.shown())).into_response()
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Forbidden => StatusCode::FORBIDDEN,
        Refusal::Stopping => StatusCode::CONFLICT,
        Refusal::Wrong(_) => StatusCode::BAD_REQUEST,
    };
    (status, format!("{refusal}\n")).into_response()
}
