//! No request takes for ever: 504 when its time is over, 408 when it was the client that took it. The clock that starts
//! here is the one that everything below asks.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
};

use super::traffic::Upload;
use crate::{
    http::problem::{Failure, Problem},
    resilience::Deadline,
};

const X_REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");

/// `error.type` of a request that was not done in the little time that its client gave us. It says nothing of our health,
/// and must not: whoever asks for the impossible would burn the error budget of all.
pub(super) const CLIENT_DEADLINE: &str = "client_deadline";

/// Gives up on a request when the limit is reached, or the time that the client has set if that is shorter; what works
/// for it is dropped. Who gives us the time that is `owed` and gets nothing was failed by us, whoever set the clock.
pub(super) async fn deadline<F: Future<Output = Response>>(
    (limit, owed): (Duration, Duration),
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Ok(wish) = wish(request.headers()) else { return Problem::request_timeout_invalid().into_response() };
    let upload = request.extensions().get::<Arc<Upload>>().cloned();
    let deadline = Deadline::after(limit, wish);
    let mut response = match deadline.scope(next(request)).await {
        Ok(response) => response,
        // A slow sender must not look like a slow service.
        Err(_) if upload.as_ref().is_some_and(|upload| upload.is_waiting()) => {
            let detail = "the body did not arrive in time";
            return Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail).into_response();
        }
        Err(_) => Problem::timeout().into_response(),
    };
    // What the client has left us of the time: it may want an answer soon, and send its question slowly.
    let sending = upload.map_or(Duration::ZERO, |upload| upload.took());
    let given = wish.map_or(limit, |wish| wish.min(limit)).saturating_sub(sending);
    if given < owed.min(limit / 2)
        && response.status() == StatusCode::GATEWAY_TIMEOUT
        && let Some(failure) = response.extensions_mut().get_mut::<Failure>()
    {
        failure.error_type = CLIENT_DEADLINE;
    }
    response
}

/// How long the client waits.
///
/// # Errors
/// What is said cannot be read, or is no time at all.
fn wish(headers: &HeaderMap) -> Result<Option<Duration>, ()> {
    let mut values = headers.get_all(X_REQUEST_TIMEOUT).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(drop)?;
    if values.next().is_some() {
        return Err(());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return Err(());
    }
    let seconds: f64 = text.parse().map_err(drop)?;
    // What no clock can count to is longer than ours in any case.
    let wish = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if wish.is_zero() { Err(()) } else { Ok(Some(wish)) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<Duration>, ()> {
        let header = |value: &&[u8]| (X_REQUEST_TIMEOUT, HeaderValue::from_bytes(value).unwrap());
        wish(&values.iter().map(header).collect())
    }

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(read(&[]), Ok(None));
        for (text, millis) in [("2", 2000), ("0.5", 500), ("0.001", 1), ("007", 7000), ("10.250", 10250)] {
            assert_eq!(read(&[text.as_bytes()]), Ok(Some(Duration::from_millis(millis))), "{text}");
        }
        let endless = "9".repeat(400);
        for text in ["1000000000000000000000", &endless] {
            assert!(read(&[text.as_bytes()]).unwrap().unwrap() > Duration::from_hours(24), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let zeros = format!("0.{}1", "0".repeat(20));
        for text in
            ["", "0", "0.0", "-1", "+1", ".5", "5.", "1e3", "NaN", "inf", "1_0", "0x1", "1,5", "1 s", "1.2.3", &zeros]
        {
            assert_eq!(read(&[text.as_bytes()]), Err(()), "{text}");
        }
        assert_eq!(read(&["١".as_bytes()]), Err(()));
        assert_eq!(read(&[b"\xff"]), Err(()));
        assert_eq!(read(&[b"1", b"1"]), Err(()), "nobody has two");
    }

    proptest::proptest! {
        #[test]
        fn no_value_is_a_panic(value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let read = wish(&[(X_REQUEST_TIMEOUT, value)].into_iter().collect());
                proptest::prop_assert!(read.is_err() || read.unwrap().is_some_and(|wish| !wish.is_zero()));
            }
        }
    }
}
