//! Answers as Go's `net/http/pprof` gives them.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{internal::tool::ToolError, telemetry::symbols::ShortOfMemory};

const X_GO_PPROF: HeaderName = HeaderName::from_static("x-go-pprof");

/// What stands in a flamegraph's way of doing harm: it may run its own script, ask what to search for in a dialogue, and
/// reach nothing.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    sandbox allow-scripts allow-modals";

/// A profile to be kept: gzip inside, but not as a coding of the transfer.
pub(in crate::internal) fn attachment(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, disposition.expect("profiles have plain names")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, bytes).into_response()
}

/// A flamegraph.
pub(in crate::internal) fn picture(svg: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CONTENT_SECURITY_POLICY, PICTURE_POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, svg).into_response()
}

/// Text for a terminal.
pub(in crate::internal) fn text(text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, text).into_response()
}

/// Why there is no profile: a status and a sentence, marked so that Go's tools show the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::internal) struct Refusal {
    pub(in crate::internal) status: StatusCode,
    pub(in crate::internal) reason: String,
}

impl Refusal {
    pub(in crate::internal) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// A parameter that cannot be read, or is out of bounds.
    pub(in crate::internal) fn parameter(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }
}

/// 503 where the system gives no thread, 500 after a panic.
impl From<ToolError> for Refusal {
    fn from(error: ToolError) -> Self {
        let status = match error {
            ToolError::NoThread(_) => StatusCode::SERVICE_UNAVAILABLE,
            ToolError::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// 507: the process has a memory limit that it must not reach.
impl From<ShortOfMemory> for Refusal {
    fn from(short: ShortOfMemory) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, short.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
            (X_GO_PPROF, HeaderValue::from_static("1")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (self.status, headers, self.reason + "\n").into_response()
    }
}
