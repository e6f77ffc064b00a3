//! Which request this is: the name its sender gave it, if it is a harmless one, else a new one.

use axum::http::{HeaderMap, HeaderName};
use uuid::Uuid;

/// Both ways.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id that the headers name, if it is 1 to 128 unreserved characters (RFC 3986); otherwise a UUID of version 7.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    let named = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|text| is_harmless(text));
    named.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn is_harmless(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::{X_REQUEST_ID, is_harmless, request_id};

    #[test]
    fn harmless_ids_are_kept() {
        for text in ["a", "0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b", "A.b_c~d-9", &"x".repeat(128)] {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(text).expect(text))]);
            assert_eq!(request_id(&headers), text);
        }
    }

    #[test]
    fn other_ids_are_replaced() {
        for text in ["", "a b", "a\"", "{}", "<b>", &"x".repeat(129)] {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(text).expect(text))]);
            assert_ne!(request_id(&headers), text);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_the_id_is_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let value = HeaderValue::from_bytes(&bytes).ok();
            let headers = HeaderMap::from_iter(value.map(|value| (X_REQUEST_ID, value)));
            prop_assert!(is_harmless(&request_id(&headers)));
        }
    }
}
