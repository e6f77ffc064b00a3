//! No more is begun than can be finished in good time; the rest is told at once to come back: 503 `overloaded`.
//!
//! There are two gates, by what an operation spends: whoever floods us with passwords keeps nobody from reading, and
//! the other way round. Probes, keys and documents pass none: they cost next to nothing, and who cannot see that an
//! instance is alive takes it out of service just when it is needed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;

use crate::{
    http::{config::Config, extract::unreadable, problem::Problem},
    resilience::{Bounds, Deadline, Gate, GateMetrics, HeldRefusals, Outcome, SHORTEST_HOLD, Waits, backoff::chance},
    telemetry::Request as Identity,
};

/// How many times longer a password waits in a burst, for its turn and for a thread that hashes, than in lasting overload.
pub const PASSWORD_BURST_FACTOR: u32 = 10;

/// What an operation spends most of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Class {
    /// Processors: it hashes a password.
    Passwords,
    /// Connections to the database, and the database's time.
    Other,
}

/// The gate of one class.
pub(in crate::http) struct Shed {
    gate: Gate,
    refused: AtomicU64,
}

impl Class {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Passwords => "passwords",
            Self::Other => "other",
        }
    }

    /// What is to be found out begins with what a small machine bears. The target is a fifth of what the objective
    /// allows: the slowest hundredth takes several times the mean, and may have waited before.
    fn bounds(self, config: &Config) -> Bounds {
        let (min, start, max) = match self {
            Self::Passwords => (2, 4, 256),
            Self::Other => (4, 32, 1024),
        };
        Bounds { min, start, max, target: config.slow / 5 }
    }

    /// In a burst, a request may use up what the objective leaves beside the target. Hashing takes a large part of the
    /// objective by itself, and people who sign in at the same moment would rather wait.
    fn waits(self, config: &Config) -> Waits {
        let burst = match self {
            Self::Passwords => config.max_wait * PASSWORD_BURST_FACTOR,
            Self::Other => config.max_wait.max(config.slow / 5 * 4),
        };
        Waits { standing: config.max_wait, burst }
    }
}

impl Shed {
    /// The longest that a client is asked to stay away, in seconds.
    const LONGEST: u64 = 3;

    pub(in crate::http) fn new(class: Class, config: &Config, held: &HeldRefusals, metrics: &GateMetrics) -> Self {
        let gate = Gate::new(class.as_str(), class.bounds(config), class.waits(config), held.clone(), metrics.clone());
        Self { gate, refused: AtomicU64::new(0) }
    }

    /// One, two or three seconds in turn: those who are refused together must not all come back together.
    fn retry_after(&self) -> u64 {
        1 + self.refused.fetch_add(1, Relaxed) % Self::LONGEST
    }
}

/// Lets a request begin when there is room, and measures how long the work takes: without waiting for its turn, for its
/// client's body, or for its client to read.
pub(in crate::http) async fn shed(State(shed): State<Arc<Shed>>, request: Request, next: Next) -> Response {
    let (request, bytes) = match arrived(request).await {
        Ok(arrived) => arrived,
        Err(problem) => return problem.into_response(),
    };
    let version = request.version();
    let permit = match shed.gate.enter(bytes).await {
        Ok(permit) => permit,
        Err(refusal) => {
            drop(request);
            Identity::with_current(Identity::refuse);
            let seconds = shed.retry_after();
            let is_flooded = shed.gate.hold(hold_time(seconds, version)).await;
            let mut response = Problem::overloaded(refusal, seconds).into_response();
            if is_flooded && version <= Version::HTTP_11 {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            return response;
        }
    };
    let response = next.run(request).await;
    permit.end(outcome(response.status()));
    response
}

/// How long a refusal is held back: about as long as `Retry-After` asks the client to stay away, not the same for all, and at
/// most half of the time that its deadline leaves. Over HTTP/2 only for a moment: the client's other requests need the
/// streams of the same connection.
fn hold_time(seconds: u64, version: Version) -> Duration {
    let left = Deadline::current().map_or(Duration::MAX, |deadline| deadline.left() / 2);
    let longest = if version <= Version::HTTP_11 { Duration::from_secs(seconds) } else { SHORTEST_HOLD };
    longest.mul_f64(1.0 - chance() / 4.0).min(left)
}

/// The same request with its whole body here, and the length of that: a client that sends slowly must not take the place of
/// another. Who may send how much, and for how long, is decided further out.
async fn arrived(request: Request) -> Result<(Request, usize), Problem> {
    // Nobody reads the bodies of the others.
    let is_read = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    if !is_read || request.body().is_end_stream() {
        return Ok((request, 0));
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| unreadable(&error))?;
    let body = body.to_bytes();
    let bytes = body.len();
    Ok((Request::from_parts(parts, Body::from(body)), bytes))
}

/// What has asked the store nothing was refused at the door, and its duration is nobody's measure.
fn outcome(status: StatusCode) -> Outcome {
    if status.is_server_error() {
        return Outcome::Failed;
    }
    let statements = Identity::with_current(Identity::statements).unwrap_or_default();
    if statements == 0 { Outcome::Nothing } else { Outcome::Done }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::Version;

    use super::{Deadline, SHORTEST_HOLD, hold_time};

    #[tokio::test]
    async fn refusal_is_held_as_long_as_retry_after_says_but_leaves_time_to_answer_and_http2_its_streams() {
        let time = hold_time(2, Version::HTTP_11);
        assert!((Duration::from_millis(1500)..=Duration::from_secs(2)).contains(&time), "{time:?}");
        assert!(hold_time(2, Version::HTTP_2) <= SHORTEST_HOLD);
        let deadline = Deadline::after(Duration::from_secs(1), None);
        let time = deadline.scope(async { hold_time(2, Version::HTTP_11) }).await.unwrap();
        assert!(time <= Duration::from_millis(500), "{time:?}");
    }
}
