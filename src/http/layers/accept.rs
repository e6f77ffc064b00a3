//! Operations answer in JSON; a client that excludes it is told so before anything happens.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header::ACCEPT},
};

use crate::http::problem::Problem;

/// Refuses clients that exclude `application/json`. Errors are `application/problem+json` all the same.
///
/// # Errors
/// 406.
pub(super) fn require_json_accepted(request: &Request) -> Result<(), Problem> {
    if wants_json(request.headers()) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "answers are application/json"))
}

/// Whether `application/json` has a weight above 0 (RFC 9110, section 12.5.1): the most specific range decides.
/// A header that is missing or empty asks for nothing; a range that cannot be read is no range.
fn wants_json(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<_> =
        values.flat_map(|value| value.split(',')).map(str::trim).filter(|range| !range.is_empty()).collect();
    if ranges.is_empty() {
        return headers.get(ACCEPT).is_none_or(axum::http::HeaderValue::is_empty);
    }
    ranges
        .into_iter()
        .filter_map(weigh)
        .max_by_key(|(specific, wanted)| (*specific, *wanted))
        .is_some_and(|(_, wanted)| wanted)
}

/// How specific a range that covers JSON is, and whether its weight is above 0.
fn weigh(range: &str) -> Option<(u8, bool)> {
    let mut parts = range.split(';').map(str::trim);
    let specific = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/json" => 2,
        "application/*" => 1,
        "*/*" => 0,
        _ => return None,
    };
    let weight = parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
    let wanted = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
    Some((specific, wanted))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header::ACCEPT};
    use proptest::prelude::*;

    use super::wants_json;

    fn wants(accept: &[u8]) -> bool {
        let value = HeaderValue::from_bytes(accept).ok();
        wants_json(&HeaderMap::from_iter(value.map(|value| (ACCEPT, value))))
    }

    #[test]
    fn json_is_wanted_unless_it_is_excluded() {
        assert!(wants_json(&HeaderMap::new()));
        for accept in [
            "",
            "*/*",
            "application/*",
            "Application/JSON; charset=utf-8",
            "text/html, application/json;q=0.1",
            "text/html, */*;q=0.001",
            "application/*;q=0, application/json",
        ] {
            assert!(wants(accept.as_bytes()), "{accept}");
        }
    }

    #[test]
    fn who_excludes_json_is_told() {
        for accept in [
            "text/html",
            "application/xml, text/*",
            "application/json;q=0",
            "*/*, application/json;q=0.0",
            "application/json;q=many",
            "nonsense",
            ",",
        ] {
            assert!(!wants(accept.as_bytes()), "{accept}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(accept in proptest::collection::vec(any::<u8>(), 0..80)) {
            wants(&accept);
        }
    }
}
