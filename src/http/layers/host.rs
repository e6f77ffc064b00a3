//! HTTP/1.1 names the host that is asked, exactly once: 400 otherwise (RFC 9112, section 3.2), because whoever stands
//! between could read another name out of it than we do.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, Version, header::HOST, uri::Authority},
};

use crate::http::problem::Problem;

/// Refuses requests without `Host`, with two, or with one that can be no host. HTTP/1.0 knew none, and HTTP/2 has
/// `:authority`.
///
/// # Errors
/// 400.
pub(super) fn require_one_host(request: &Request) -> Result<(), Problem> {
    if request.version() != Version::HTTP_11 || is_one_host(request.headers()) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::BAD_REQUEST, "host_invalid", "the request must have one Host that names a host"))
}

/// An empty value is one: it is what a target without an authority has.
fn is_one_host(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let bytes = value.as_bytes();
    bytes.is_empty() || !bytes.contains(&b'@') && Authority::try_from(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header::HOST};
    use proptest::prelude::*;

    use super::is_one_host;

    fn accepted(values: &[&[u8]]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HOST, HeaderValue::from_bytes(value).expect("it can stand in a header"));
        }
        is_one_host(&headers)
    }

    #[test]
    fn there_is_one_host() {
        for value in ["", "a", "example.com:8080", "127.0.0.1:1", "[::1]:8080", "a_b.example"] {
            assert!(accepted(&[value.as_bytes()]), "{value}");
        }
        for value in ["a b", "a/b", "user@a", "a:b:c", "a, b", "\u{e9}", "[::1"] {
            assert!(!accepted(&[value.as_bytes()]), "{value}");
        }
        assert!(!accepted(&[]) && !accepted(&[b"a", b"a"]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                is_one_host(&HeaderMap::from_iter([(HOST, value)]));
            }
        }
    }
}
