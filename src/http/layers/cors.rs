//! Cross-origin requests (the Fetch standard): pages of the origins that are named may read answers, nobody else's.
//!
//! Off unless an origin is named. Callers prove themselves with a header that only a script of theirs can set, and no
//! cookie is ever read, so `Access-Control-Allow-Credentials` is never said. tower-http's layer does more than is
//! wanted here: it answers every `OPTIONS` with 200, for whatever path and whatever origin.

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
        },
    },
    response::{IntoResponse, Response},
};

/// What an operation may be asked with.
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const HEADERS: &str = "accept, authorization, content-type, idempotency-key, if-match, if-none-match, traceparent, \
                       tracestate, x-request-id, x-request-timeout";
/// What a script may read of an answer, beside what it always may.
const EXPOSED: &str = "etag, location, ratelimit, ratelimit-policy, retry-after, server-timing, traceresponse, www-authenticate, x-request-id";
/// Ten minutes: an origin that is taken back is not asked from for much longer.
const MAX_AGE_SECONDS: &str = "600";

/// The origins whose pages may read answers.
pub(in crate::http) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// Each as browsers write it: scheme, host, and the port if it is not the scheme's own.
    pub(in crate::http) fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The origin that asks, if it is one of these: octet for octet, and no other beside it.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut given = headers.get_all(ORIGIN).iter();
        let (Some(origin), None) = (given.next(), given.next()) else { return None };
        self.0.iter().find(|known| *known == origin).cloned()
    }
}

/// Marks a request as the question that a browser asks for a page of a known origin.
#[derive(Debug, Clone, Copy)]
struct Preflight;

impl Origins {
    /// Returns the origin that may read the answer, and marks a browser's preflight request from it. From an unknown origin
    /// that request has a method that the path lacks.
    pub(super) fn allow(&self, request: &mut Request) -> Option<HeaderValue> {
        if self.is_empty() {
            return None;
        }
        let allowed = self.allowed(request.headers())?;
        let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if asks {
            request.extensions_mut().insert(Preflight);
        }
        Some(allowed)
    }

    /// Writes which origin may read the answer.
    pub(super) fn write_headers(&self, allowed: Option<HeaderValue>, response: &mut Response) {
        if self.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        // Also where nothing is allowed: a cache must not show one origin's answer to another.
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

/// Answers what [`Origins::allow`] has marked. It is a step of its own because the limit of the client's network lies
/// between.
pub(super) fn preflight(request: &Request) -> Option<Response> {
    request.extensions().get::<Preflight>()?;
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS)),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_SECONDS)),
        (VARY, HeaderValue::from_static("access-control-request-method, access-control-request-headers")),
    ];
    Some((StatusCode::NO_CONTENT, headers).into_response())
}
