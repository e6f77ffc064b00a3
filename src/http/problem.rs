//! Errors as the public port tells them: problem documents (RFC 9457), one table from [`Kind`] to status.
//!
//! `type` is always `about:blank`: the stable word is `code`, and no URL has to be served for ever to keep a promise.
//! What lies below a 5xx never leaves the process; it travels as [`Failure`] to the one line that logs it.

use std::{borrow::Cow, error::Error, sync::Arc};

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::limits::{Limited, tell};
use crate::{
    domain::{Fault, Kind, auth, users},
    faults::Injected,
    resilience::Refusal,
    telemetry::{Request, traces},
};

/// The media type of every error.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Clients that were told 503 come back after so many seconds, if nothing else is said: a queue is worked off in less.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Why a request was not answered as it wished.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    faults: Vec<FieldFault>,
    hint: Hint,
    error_type: Option<&'static str>,
    cause: Option<Cause>,
}

/// What lies below a failure, for the log and nobody else.
pub(super) type Cause = Arc<dyn Error + Send + Sync>;

/// What is wrong with one field, or one parameter.
#[derive(Debug, Serialize)]
pub(super) struct FieldFault {
    /// The name of the member or parameter; empty for the whole.
    pub(super) field: String,
    /// Stable, in `snake_case`.
    pub(super) code: &'static str,
    /// What is accepted; never the value.
    pub(super) message: Cow<'static, str>,
}

/// A header that tells how to do better.
#[derive(Debug, Clone)]
enum Hint {
    None,
    /// `WWW-Authenticate` for somebody who has shown no token.
    Challenge,
    /// The same with the `error` of RFC 6750: the token that was shown is not valid.
    InvalidToken,
    /// The same with the `error` of RFC 9470: the token is valid, but its session began too long ago.
    StepUp,
    /// `Accept`, or for PATCH `Accept-Patch`: which media types a body may have.
    Media(bool),
    /// `Accept-Encoding`: that a body may have none (RFC 9110, section 12.5.3).
    Uncoded,
    /// `Retry-After`, and which limit it was.
    Limited(Box<Limited>),
    /// `Retry-After`, in seconds.
    Later(u64),
}

/// Travels with the answer to `observe`: what to call the failure, and what lies below it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// `error.type`.
    pub(super) error_type: &'static str,
    /// `error.code`: the document's `code`.
    pub(super) code: &'static str,
    /// Only what a person has to look into has one.
    pub(super) cause: Option<Cause>,
}

/// The document, in the order in which people read it.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldFault],
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// The table.
const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Problem {
    /// A problem of the protocol, told with a fixed sentence.
    pub(super) const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        let detail = Cow::Borrowed(detail);
        Self { status, code, detail, faults: Vec::new(), hint: Hint::None, error_type: None, cause: None }
    }

    /// 400: the body cannot be read.
    pub(super) fn body_malformed(detail: String) -> Self {
        Self { detail: Cow::Owned(detail), ..Self::new(StatusCode::BAD_REQUEST, "body_malformed", "") }
    }

    /// 413.
    pub(super) const fn body_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is longer than is accepted")
    }

    /// 415, with the media types that are accepted.
    pub(super) fn media_type(for_patch: bool) -> Self {
        let detail = "the body must be application/json, or application/merge-patch+json in a PATCH";
        let problem = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_unsupported", detail);
        Self { hint: Hint::Media(for_patch), ..problem }
    }

    /// 415 for a request with more than one `Content-Type`: servers and proxies would not all read the same one.
    pub(super) fn content_type_repeated(for_patch: bool) -> Self {
        let detail = "Content-Type is sent more than once; send it once";
        Self { detail: Cow::Borrowed(detail), ..Self::media_type(for_patch) }
    }

    /// 415 for a body in another charset than UTF-8. Only what looks like a charset's name is repeated.
    pub(super) fn charset(name: &str, for_patch: bool) -> Self {
        let is_name =
            name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte));
        let name = if is_name { name } else { "in Content-Type" };
        let detail = format!("the charset {name} is not accepted; send the body in UTF-8");
        Self { detail: Cow::Owned(detail), ..Self::media_type(for_patch) }
    }

    /// 415 for a body that is compressed.
    pub(super) fn content_coding() -> Self {
        let detail = "the body must be sent as it is, without Content-Encoding";
        let problem = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_coding_unsupported", detail);
        Self { hint: Hint::Uncoded, ..problem }
    }

    /// 412: `If-Match` does not name the version that is stored.
    pub(super) const fn stale(detail: &'static str) -> Self {
        Self::new(status(Kind::Stale), "stale", detail)
    }

    /// 412: a precondition other than the version in `If-Match` does not hold.
    pub(super) const fn precondition_failed(detail: &'static str) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// 422 with every fault.
    pub(super) fn invalid(faults: Vec<FieldFault>) -> Self {
        let problem = Self::new(status(Kind::Invalid), "validation_failed", "the input breaks rules; see `errors`");
        Self { faults, ..problem }
    }

    /// 401 for somebody who has shown nothing: RFC 6750 wants no `error` then.
    pub(super) fn token_missing() -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "token_missing", "an access token is needed");
        Self { hint: Hint::Challenge, ..problem }
    }

    /// 401 for what does not even look like one access token.
    pub(super) fn token_malformed() -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "token_malformed", "the access token cannot be read");
        Self { hint: Hint::InvalidToken, ..problem }
    }

    /// 401 for a refresh token that is none.
    pub(super) fn refresh_token_invalid() -> Self {
        Self::from(auth::Error::RefreshInvalid)
    }

    /// 429 for a client that asks too often, whatever for.
    pub(super) fn too_many_requests(limited: Limited) -> Self {
        let detail = "this address asks too often; see `Retry-After`";
        let problem = Self::new(status(Kind::TooMany), "too_many_requests", detail);
        Self { hint: Hint::Limited(Box::new(limited)), ..problem }
    }

    /// 429 for too many attempts at one account, whether or not there is such an account.
    pub(super) fn too_many_sign_ins(limited: Limited) -> Self {
        let detail = "too many attempts to sign in with this e-mail address; see `Retry-After`";
        let problem = Self::new(status(Kind::TooMany), "too_many_sign_ins", detail);
        Self { hint: Hint::Limited(Box::new(limited)), ..problem }
    }

    /// 500 after a panic; the panic hook has told the rest.
    pub(super) fn panic() -> Self {
        let problem = Self::of(Kind::Internal, "internal");
        Self { error_type: Some("panic"), ..problem }
    }

    /// 504: our own time is over.
    pub(super) fn timeout() -> Self {
        let problem = Self::of(Kind::Timeout, "timeout");
        Self { error_type: Some("timeout"), ..problem }
    }

    /// 503: there is more to do than can be done, and nothing has been done for this one.
    pub(super) fn overloaded(refusal: Refusal, retry_after: u64) -> Self {
        Self { hint: Hint::Later(retry_after), ..Self::told(Kind::Unavailable, "overloaded", refusal) }
    }

    /// 400: how long the client waits cannot be read.
    pub(super) const fn request_timeout_invalid() -> Self {
        let detail = "X-Request-Timeout must be a number of seconds above zero, such as 2 or 0.5";
        Self::new(StatusCode::BAD_REQUEST, "request_timeout_invalid", detail)
    }

    /// A problem of the domain that says no more than its kind does.
    fn of(kind: Kind, code: &'static str) -> Self {
        let detail = match kind {
            Kind::Unavailable => "this cannot be done right now; later it may",
            Kind::Timeout => "the request took too long and was given up; its change may have been made",
            Kind::Internal => "something went wrong inside; `request_id` names it in our logs",
            _ => "",
        };
        Self::new(status(kind), code, detail)
    }

    /// A problem of the domain: what it says of itself is told, unless it is about our inside.
    fn told(kind: Kind, code: &'static str, error: impl Error + Send + Sync + 'static) -> Self {
        let problem = Self::of(kind, code);
        if problem.status.is_server_error() {
            Self { cause: Some(Arc::new(error)), ..problem }
        } else {
            Self { detail: Cow::Owned(error.to_string()), ..problem }
        }
    }
}

impl From<users::Error> for Problem {
    fn from(error: users::Error) -> Self {
        let is_sign_in_too_old = matches!(error, users::Error::SignInTooOld);
        let hint = if is_sign_in_too_old { Hint::StepUp } else { Hint::None };
        Self { hint, ..Self::told(error.kind(), error.code(), error) }
    }
}

/// A 500 like any other; only the log says that it was asked for.
impl From<Injected> for Problem {
    fn from(error: Injected) -> Self {
        Self::told(Kind::Internal, "internal", error)
    }
}

impl From<auth::Error> for Problem {
    fn from(error: auth::Error) -> Self {
        // RFC 6750 knows a word for tokens; wrong credentials have shown none.
        let shown = matches!(error, auth::Error::Token(_) | auth::Error::SessionEnded);
        let hint = if shown { Hint::InvalidToken } else { Hint::Challenge };
        let problem = Self::told(error.kind(), error.code(), error);
        if problem.status == StatusCode::UNAUTHORIZED { Self { hint, ..problem } } else { problem }
    }
}

impl FieldFault {
    /// A fault of the field of that name.
    pub(super) fn new(field: &str, fault: Fault) -> Self {
        Self { field: field.to_owned(), code: fault.code, message: fault.message }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, detail, faults, hint, error_type, cause } = self;
        let document = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &detail,
            code,
            errors: &faults,
            request_id: Request::with_current(|request| request.id().to_owned()),
            trace_id: traces::current().map(|ids| ids.trace.to_string()),
        };
        let body = serde_json::to_vec(&document).expect("strings and numbers can always be written");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match hint {
            Hint::None => {}
            Hint::Challenge => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Hint::InvalidToken => {
                let value =
                    HeaderValue::try_from(format!("Bearer error=\"invalid_token\", error_description=\"{detail}\""));
                headers.insert(WWW_AUTHENTICATE, value.unwrap_or(HeaderValue::from_static("Bearer")));
            }
            Hint::StepUp => {
                let value =
                    format!("Bearer error=\"insufficient_user_authentication\", error_description=\"{detail}\"");
                let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("Bearer"));
                headers.insert(WWW_AUTHENTICATE, value);
            }
            Hint::Media(false) => {
                headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            }
            Hint::Media(true) => {
                let accepted = HeaderValue::from_static("application/merge-patch+json, application/json");
                headers.insert("accept-patch", accepted);
            }
            Hint::Uncoded => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            Hint::Limited(limited) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(limited.wait_seconds()));
                tell(headers, &limited);
            }
            Hint::Later(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.entry(RETRY_AFTER).or_insert(HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response.extensions_mut().insert(Failure { error_type: error_type.unwrap_or(code), code, cause });
        response
    }
}
