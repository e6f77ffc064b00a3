//! A body that is one JSON object without repeated members.

use std::fmt;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{
        HeaderMap,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
};
use http_body_util::{BodyExt, LengthLimitError};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value, error::Category};

use super::{
    super::problem::{FieldFault, Problem},
    Fields,
};
use crate::domain::Fault;

/// An `application/json` object.
pub(in crate::http) struct Json(pub(in crate::http) Fields);

/// A merge patch (RFC 7396): `application/merge-patch+json`, also as `application/json`.
pub(in crate::http) struct MergePatch(pub(in crate::http) Fields);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request, false).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request, true).await.map(Self)
    }
}

async fn read(request: Request, patch: bool) -> Result<Fields, Problem> {
    if !is_json(request.headers(), patch) {
        return Err(Problem::media_type(patch));
    }
    if is_coded(request.headers()) {
        return Err(Problem::content_coding());
    }
    let body = request.into_body().collect().await.map_err(|error| unreadable(&error))?;
    parse(&body.to_bytes())
}

/// Why a body did not arrive: it is longer than `layers/body_limit.rs` lets through, or its sender broke off.
pub(in crate::http) fn unreadable(error: &axum::Error) -> Problem {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return Problem::body_too_large();
        }
        source = error.source();
    }
    Problem::body_malformed("the body ended early".to_owned())
}

/// Whether the body is said to be JSON. Parameters but `charset=utf-8` are no business of JSON (RFC 8259, section 11).
fn is_json(headers: &HeaderMap, patch: bool) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let right = essence.eq_ignore_ascii_case("application/json")
        || patch && essence.eq_ignore_ascii_case("application/merge-patch+json");
    right
        && parts.all(|parameter| {
            parameter.is_empty()
                || parameter.split_once('=').is_some_and(|(name, value)| {
                    name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
                })
        })
}

/// Whether the body is compressed: unpacking it could fill more memory than its length tells, and ours are short.
fn is_coded(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    values.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn parse(body: &Bytes) -> Result<Fields, Problem> {
    let read = serde_json::from_slice::<Body>(body).map_err(|error| {
        // Only the place is told: serde_json's own words may repeat a part of the body.
        let what = match error.classify() {
            // It has no class of its own.
            Category::Syntax if error.to_string().starts_with("recursion limit exceeded") => "too many levels",
            Category::Data => "the same member twice",
            Category::Syntax | Category::Eof | Category::Io => "no JSON",
        };
        Problem::body_malformed(format!("the body has {what} at line {}, column {}", error.line(), error.column()))
    })?;
    match read {
        Body::Object(members) => Ok(Fields::new(members, Vec::new())),
        Body::Other => {
            let fault = Fault::new("wrong_type", "must be an object");
            Err(Problem::invalid(vec![FieldFault::new("", fault)]))
        }
    }
}

/// One JSON value. Of two members with the same name one would win silently, and not everywhere the same: refused.
enum Body {
    Object(Map<String, Value>),
    Other,
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Body, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("repeated member"));
            }
        }
        Ok(Body::Object(members))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Body, A::Error> {
        while access.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Body::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_unit<E>(self) -> Result<Body, E> {
        Ok(Body::Other)
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Bytes,
        http::{HeaderMap, HeaderValue, header::CONTENT_TYPE},
    };
    use proptest::prelude::*;

    use super::{is_json, parse};

    fn headers(content_type: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(content_type) {
            headers.insert(CONTENT_TYPE, value);
        }
        headers
    }

    #[test]
    fn json_is_recognised_however_it_is_written() {
        for text in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert!(is_json(&headers(text.as_bytes()), false), "{text}");
        }
        for text in ["", "text/json", "application/json+x", "application/json; charset=latin1", "application/jsonp"] {
            assert!(!is_json(&headers(text.as_bytes()), false), "{text}");
        }
        assert!(!is_json(&HeaderMap::new(), true));
    }

    #[test]
    fn merge_patch_is_for_patch_only() {
        let patch = headers(b"application/merge-patch+json");
        assert!(is_json(&patch, true) && !is_json(&patch, false));
    }

    #[test]
    fn only_one_object_without_repeated_members_is_a_body() {
        for (body, code) in [
            ("", "body_malformed"),
            ("{", "body_malformed"),
            ("{} {}", "body_malformed"),
            (r#"{"name":"a","name":"b"}"#, "body_malformed"),
            (r#"{"name":"a","n\u0061me":"b"}"#, "body_malformed"),
            ("[1,{},null]", "validation_failed"),
            ("null", "validation_failed"),
            ("-1.5", "validation_failed"),
            (r#""text""#, "validation_failed"),
        ] {
            let problem = format!("{:?}", parse(&Bytes::from_static(body.as_bytes())).expect_err(body));
            assert!(problem.contains(code), "{body}: {problem}");
        }
        assert!(parse(&Bytes::from_static(b" {\"name\": \"a\"} ")).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(parse(&Bytes::from(deep)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200), value in "\\PC{0,60}") {
            drop(parse(&Bytes::from(body)));
            is_json(&headers(value.as_bytes()), true);
        }
    }
}
