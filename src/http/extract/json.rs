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
    check_media_type(request.headers(), patch)?;
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

/// Checks that `Content-Type` says JSON. JSON has no parameters and is always UTF-8 (RFC 8259, sections 8.1 and 11), so
/// parameters are ignored, except for a `charset` whose bytes are read differently from UTF-8.
fn check_media_type(headers: &HeaderMap, patch: bool) -> Result<(), Problem> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Err(Problem::media_type(patch)) };
    if values.next().is_some() {
        return Err(Problem::content_type_repeated(patch));
    }
    let Ok(value) = value.to_str() else { return Err(Problem::media_type(patch)) };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let essence = essence.trim();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || patch && essence.eq_ignore_ascii_case("application/merge-patch+json");
    if !is_json {
        return Err(Problem::media_type(patch));
    }
    match charsets(parameters).find(|charset| !is_utf8(charset)) {
        Some(charset) => Err(Problem::charset(charset, patch)),
        None => Ok(()),
    }
}

/// The values of each `charset` among the parameters of a media type.
fn charsets(parameters: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    // A semicolon inside of a quoted string separates nothing (RFC 9110, section 5.6.6).
    let parameters = parameters.split(move |char| {
        let is_separator = char == ';' && !is_quoted;
        is_quoted ^= char == '"' && !is_escaped;
        is_escaped = char == '\\' && is_quoted && !is_escaped;
        is_separator
    });
    parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// Whether text in that charset is UTF-8 as well. `utf8` is registered nowhere, and Dart's HTTP client sends it; ASCII is
/// a subset. An empty value names no charset.
fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii", ""].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

/// Whether the body is compressed: unpacking it could fill more memory than its length tells, and ours are short.
fn is_coded(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    values.any(|value| !value.is_empty() && !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn parse(body: &Bytes) -> Result<Fields, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::body_malformed("the body is empty".to_owned()));
    }
    let read = serde_json::from_slice::<Body>(body).map_err(|error| {
        Problem::body_malformed(match error.classify() {
            // Only the place: this class of error may repeat a part of the body, the others have fixed texts.
            Category::Data => {
                format!("the body has the same member twice, at line {} column {}", error.line(), error.column())
            }
            Category::Syntax | Category::Eof | Category::Io => {
                encoding_error(body).unwrap_or_else(|| format!("the body cannot be read as JSON: {error}"))
            }
        })
    })?;
    match read {
        Body::Object(members) => Ok(Fields::new(members, Vec::new())),
        Body::Other => {
            let fault = Fault::new("wrong_type", "must be an object");
            Err(Problem::invalid(vec![FieldFault::new("", fault)]))
        }
    }
}

/// Names the encoding error of a body that is no JSON because it is not plain UTF-8: a byte order mark (RFC 8259, section
/// 8.1), UTF-16, or any other charset. The parser reports only the position where it stopped.
fn encoding_error(body: &[u8]) -> Option<String> {
    if body.starts_with(b"\xef\xbb\xbf") {
        return Some("the body begins with a byte order mark; send it without".to_owned());
    }
    if let Err(error) = std::str::from_utf8(body) {
        return Some(format!("the body is not UTF-8 at byte {}; send it in UTF-8", error.valid_up_to() + 1));
    }
    body.contains(&0).then(|| "the body contains NUL bytes, as UTF-16 does; send it in UTF-8".to_owned())
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

    use super::{check_media_type, parse};

    fn headers(content_type: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(content_type) {
            headers.insert(CONTENT_TYPE, value);
        }
        headers
    }

    fn is_accepted(content_type: &str, patch: bool) -> bool {
        check_media_type(&headers(content_type.as_bytes()), patch).is_ok()
    }

    #[test]
    fn content_type_parameters_without_meaning_are_accepted() {
        for parameters in [
            "",
            ";",
            "; charset=UTF-8",
            ";charset=\"utf-8\"",
            "; charset=utf8",
            "; charset=us-ascii",
            "; charset=",
            "; profile=\"https://example.com/a;charset=latin1\"",
            "; profile=\"\\\";charset=latin1\"; charset=utf-8",
            "; odata.metadata=minimal; IEEE754Compatible=true",
            "; version",
            "; charset",
        ] {
            assert!(is_accepted(&format!("Application/JSON{parameters}"), false), "{parameters}");
        }
    }

    #[test]
    fn content_type_with_another_charset_is_refused_by_its_name() {
        for (parameters, name) in [
            ("; charset=latin1", "latin1"),
            ("; version=1; Charset=\"ISO-8859-1\"", "ISO-8859-1"),
            ("; charset=utf-8; charset=utf-16", "utf-16"),
            ("; profile=\"a\"; charset=UTF-16LE", "UTF-16LE"),
        ] {
            let text = format!("application/json{parameters}");
            let problem = check_media_type(&headers(text.as_bytes()), false).expect_err("it is not UTF-8");
            let problem = format!("{problem:?}");
            assert!(problem.contains(&format!("the charset {name} is not accepted")), "{problem}");
        }
        let odd = format!("application/json; charset={}", "x".repeat(100));
        let problem = check_media_type(&headers(odd.as_bytes()), false).expect_err("it is not UTF-8");
        assert!(!format!("{problem:?}").contains("xxx"), "only a short name is repeated");
    }

    #[test]
    fn other_media_types_are_refused() {
        for text in ["", ";", "text/json", "application/json+x", "application/jsonp", "application / json"] {
            assert!(!is_accepted(text, false), "{text}");
        }
        assert!(check_media_type(&HeaderMap::new(), true).is_err());
    }

    #[test]
    fn merge_patch_is_for_patch_only() {
        let text = "application/merge-patch+json; charset=utf8";
        assert!(is_accepted(text, true) && !is_accepted(text, false));
    }

    #[test]
    fn only_one_object_without_repeated_members_is_a_body() {
        for (body, code) in [
            ("", "the body is empty"),
            (" \n", "the body is empty"),
            ("{", "EOF while parsing an object at line 1 column 1"),
            (r#"{"password":1e400}"#, "number out of range at line 1 column 17"),
            ("{\"name\":\"a\nb\"}", "control character"),
            (r#"{"name":"a",}"#, "trailing comma"),
            ("{\"name\":\"a\"}x", "trailing characters"),
            (r#"{"name":"a","name":"b"}"#, "the same member twice, at line 1 column 23"),
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
            drop(check_media_type(&headers(value.as_bytes()), true));
        }
    }
}
