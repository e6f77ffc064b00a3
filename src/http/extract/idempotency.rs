//! `Idempotency-Key`: that a request which is sent again shall happen once (draft-ietf-httpapi-idempotency-key-header).

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, StatusCode, request::Parts},
};

use super::super::{Api, problem::Problem};
use crate::domain::users::IdempotencyKey;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// The key, or that there is none; 400 for one that cannot be read.
pub(in crate::http) struct Once(pub(in crate::http) Option<IdempotencyKey>);

impl FromRequestParts<Arc<Api>> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        read(&parts.headers).map(Self)
    }
}

fn read(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(NAME).iter();
    let key = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(parse),
        // One of the two would win, and not everywhere the same.
        (Some(_), Some(_)) => None,
    };
    let detail = "Idempotency-Key must be one key of 1 to 255 visible ASCII characters, in quotes or without quotes, \
                  backslashes and commas";
    key.map(Some).ok_or(Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_malformed", detail))
}

/// A string of RFC 9651, section 3.3.3, as the draft has it; or the key itself, as most clients have it. Both mean the
/// same key. What would be read as two keys, or as one with quotes, by whoever follows the draft to the letter is none.
fn parse(text: &str) -> Option<IdempotencyKey> {
    let text = text.trim_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        let is_bare = !text.contains(['"', '\\', ',']);
        return is_bare.then(|| IdempotencyKey::parse(text).ok()).flatten();
    };
    let mut key = String::new();
    let mut chars = quoted.strip_suffix('"')?.chars();
    while let Some(char) = chars.next() {
        key.push(match char {
            '"' => return None,
            '\\' => chars.next().filter(|next| matches!(next, '"' | '\\'))?,
            char => char,
        });
    }
    IdempotencyKey::parse(&key).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::{NAME, parse, read};
    use crate::domain::users::{Email, IdempotencyKey, Name};

    fn digest(key: &IdempotencyKey) -> [u8; 32] {
        key.once(&Email::parse("a@b.co").expect("it is one"), &Name::parse("a").expect("it is one")).key
    }

    #[test]
    fn a_key_is_the_same_in_quotes_and_without() {
        let read = |text: &str| digest(&parse(text).expect(text));
        assert_eq!(read("8e03978e-40d5"), read("\"8e03978e-40d5\""));
        assert_eq!(read(" a;b=1 "), read("\"a;b=1\""));
        assert_ne!(read(r#""a\\b""#), read(r#""a\"b""#));
    }

    #[test]
    fn what_is_no_key_or_more_than_one_is_refused() {
        let long = "a".repeat(256);
        for text in [
            "",
            " ",
            "\"\"",
            "\"",
            "\"a",
            "a\"",
            "\"a\";b",
            "\"a\" \"b\"",
            "\"a\"b\"",
            "a,b",
            "a b",
            "\"a b\"",
            r#""a\b""#,
            r#""a\"#,
            &long,
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
        let mut headers = HeaderMap::new();
        assert!(read(&headers).expect("there is none").is_none());
        headers.append(NAME, HeaderValue::from_static("a"));
        assert!(read(&headers).expect("it is one").is_some());
        headers.append(NAME, HeaderValue::from_static("a"));
        assert!(read(&headers).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[\"\\\\, a]{0,12}") {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                drop(read(&HeaderMap::from_iter([(NAME, value)])));
            }
            drop(parse(&text));
        }

        #[test]
        fn every_key_can_be_quoted(key in "[!-~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
            let expected = IdempotencyKey::parse(&key).expect("it is one");
            prop_assert_eq!(digest(&parse(&quoted).expect("it is quoted")), digest(&expected));
        }
    }
}
