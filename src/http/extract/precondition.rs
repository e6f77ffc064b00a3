//! Entity tags, and conditional requests (RFC 9110, sections 8.8 and 13).
//!
//! `If-Match` and `If-None-Match` are evaluated wherever an `ETag` is sent and by every unsafe method, after all other
//! checks. `If-Modified-Since`, `If-Unmodified-Since` and `If-Range` are ignored, as sections 13.1.3 to 13.1.5 require
//! of a service that sends no `Last-Modified` and supports no ranges.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{IF_MATCH, IF_NONE_MATCH},
        request::Parts,
    },
};

use super::super::{Api, problem::Problem};
use crate::domain::users::{self, Condition, User, UserId, Version};

const MALFORMED_IF_NONE_MATCH: &str = "If-None-Match must be * or a list of ETags, each in double quotes";

/// The tag of one version of one account: strong, and never the same for two accounts.
pub(in crate::http) fn etag(user: &User) -> HeaderValue {
    let text = tag(user.id, user.version);
    HeaderValue::try_from(text).expect("hexadecimal digits, quotes and a number can stand in a header")
}

fn tag(id: UserId, version: Version) -> String {
    format!("\"{}-{}\"", id.0.simple(), version.0)
}

/// The preconditions of a request: `If-Match` and `If-None-Match`.
pub(in crate::http) struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: any version.
    Any,
    /// These, with their quotes; weak ones keep their `W/`.
    These(Vec<String>),
    /// Neither `*` nor a list of tags. It matches nothing.
    Malformed,
}

impl FromRequestParts<Arc<Api>> for Preconditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Infallible> {
        let if_match = read(&parts.headers, &IF_MATCH);
        Ok(Self { if_match, if_none_match: read(&parts.headers, &IF_NONE_MATCH) })
    }
}

impl Preconditions {
    /// Requires `If-Match`, because a change without it could overwrite a version that the client has never read.
    /// `If-None-Match: *` needs none: it accepts no existing account.
    ///
    /// # Errors
    /// 428.
    pub(in crate::http) fn require_if_match(self) -> Result<Self, Problem> {
        if self.if_match.is_some() || self.if_none_match == Some(Tags::Any) {
            return Ok(self);
        }
        let detail = "send the ETag of the version that you have seen as If-Match, or * for any";
        Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", detail))
    }

    /// The versions of that account that may be written.
    pub(in crate::http) fn condition(&self, id: UserId) -> Condition {
        let mut condition = Condition::default();
        match &self.if_match {
            None | Some(Tags::Any) => {}
            Some(Tags::These(tags)) => {
                condition.one_of = Some(tags.iter().filter_map(|tag| version(tag, id)).collect());
            }
            Some(Tags::Malformed) => condition.one_of = Some(Vec::new()),
        }
        match &self.if_none_match {
            None => {}
            Some(Tags::Any | Tags::Malformed) => condition.one_of = Some(Vec::new()),
            Some(Tags::These(tags)) => {
                condition.none_of = tags.iter().filter_map(|tag| version(strong(tag), id)).collect();
            }
        }
        condition
    }

    /// The problem behind an error of a conditional write to that account: 412 says which header failed, and why.
    pub(in crate::http) fn problem(&self, error: users::Error, id: UserId) -> Problem {
        match error {
            users::Error::Stale => self.failed(id),
            error => error.into(),
        }
    }

    fn failed(&self, id: UserId) -> Problem {
        match (&self.if_none_match, &self.if_match) {
            (Some(Tags::Any), _) => {
                Problem::precondition_failed("If-None-Match: * accepts no user that exists, and this one does")
            }
            (Some(Tags::Malformed), _) => Problem::precondition_failed(MALFORMED_IF_NONE_MATCH),
            (Some(Tags::These(tags)), None | Some(Tags::Any)) if !tags.is_empty() => {
                Problem::precondition_failed("the user still has a version that If-None-Match excludes")
            }
            (Some(Tags::These(tags)), Some(_)) if tags.iter().any(|tag| version(strong(tag), id).is_some()) => {
                Problem::precondition_failed("the user's version does not satisfy If-Match and If-None-Match")
            }
            _ => self.if_match_failed(id),
        }
    }

    fn if_match_failed(&self, id: UserId) -> Problem {
        match &self.if_match {
            Some(Tags::These(tags)) if tags.iter().any(|tag| version(tag, id).is_some()) => users::Error::Stale.into(),
            Some(Tags::These(tags)) if tags.iter().any(|tag| version(strong(tag), id).is_some()) => Problem::stale(
                "weak ETags (W/\"...\") cannot be used in If-Match; send the ETag without W/, which a proxy that \
                 compresses responses may have added",
            ),
            Some(Tags::These(tags)) if !tags.is_empty() => Problem::stale("no ETag in If-Match is one of this user"),
            _ => Problem::stale("If-Match must be * or a list of ETags, each in double quotes as it was received"),
        }
    }

    /// For a read of that account: whether the client has this version already. Weak tags count in `If-None-Match`,
    /// because only the content matters here.
    ///
    /// # Errors
    /// 412 if `If-Match` excludes the version.
    pub(in crate::http) fn is_not_modified(&self, user: &User) -> Result<bool, Problem> {
        let current = tag(user.id, user.version);
        let is_accepted = match &self.if_match {
            None | Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.contains(&current),
            Some(Tags::Malformed) => false,
        };
        if !is_accepted {
            return Err(self.if_match_failed(user.id));
        }
        Ok(match &self.if_none_match {
            None | Some(Tags::Malformed) => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.iter().any(|tag| strong(tag) == current),
        })
    }

    /// For an unsafe method on a resource that exists and has no `ETag`: only `*` matches it.
    ///
    /// # Errors
    /// 412.
    pub(in crate::http) fn check_untagged(&self) -> Result<(), Problem> {
        match (&self.if_none_match, &self.if_match) {
            (Some(Tags::Any), _) => {
                Err(Problem::precondition_failed("If-None-Match: * accepts no resource that exists, and this one does"))
            }
            (Some(Tags::Malformed), _) => Err(Problem::precondition_failed(MALFORMED_IF_NONE_MATCH)),
            (_, None | Some(Tags::Any)) => Ok(()),
            _ => Err(Problem::precondition_failed("this resource has no ETag; leave If-Match out, or send *")),
        }
    }
}

/// A tag without the mark of a weak one, for weak comparison.
fn strong(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The version in a strong tag of that account.
fn version(text: &str, id: UserId) -> Option<Version> {
    let (_, number) = text.strip_prefix('"')?.strip_suffix('"')?.rsplit_once('-')?;
    let version = Version(number.parse().ok()?);
    // Written anew, so that nothing but what we wrote is accepted: no other account's, no leading zeros.
    (tag(id, version) == text).then_some(version)
}

fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Tags> {
    let values = headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>();
    match values {
        Ok(values) if values.is_empty() => None,
        // Several lines are one list (RFC 9110, section 5.3).
        Ok(values) => Some(parse(&values.join(",")).unwrap_or(Tags::Malformed)),
        Err(_) => Some(Tags::Malformed),
    }
}

/// `*`, or a list of tags; none if it is neither. A comma may stand inside a tag.
fn parse(text: &str) -> Option<Tags> {
    let mut rest = text.trim();
    if rest == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(Tags::These(tags));
        }
        let prefix = if rest.starts_with("W/") { 2 } else { 0 };
        let opaque = rest[prefix..].strip_prefix('"')?;
        let length = prefix + opaque.find('"')? + 2;
        let (tag, after) = rest.split_at(length);
        tags.push(tag.to_owned());
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header::IF_MATCH};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{Tags, parse, read, tag, version};
    use crate::domain::users::{UserId, Version};

    const ANN: UserId = UserId(Uuid::from_u128(0x0190_b5a1_7c3e_7d2f_8a4b_5c6d_7e8f_9a0b));
    const BOB: UserId = UserId(Uuid::from_u128(0x0190_b5a1_7c3e_7d2f_8a4b_5c6d_7e8f_9a0c));

    #[test]
    fn a_tag_names_one_version_of_one_account() {
        let text = tag(ANN, Version(12));
        assert_eq!(version(&text, ANN), Some(Version(12)));
        assert_eq!(version(&text, BOB), None);
        for text in ["", "\"", "\"-1\"", "*", &format!("W/{text}"), &text.replace("-12", "-012")] {
            assert_eq!(version(text, ANN), None, "{text}");
        }
    }

    #[test]
    fn lists_are_read_as_rfc_9110_writes_them() {
        let these = |tags: &[&str]| Some(Tags::These(tags.iter().map(|&tag| tag.to_owned()).collect()));
        assert_eq!(parse(" * "), Some(Tags::Any));
        assert_eq!(parse(r#""a", W/"b" ,, "c,d""#), these(&[r#""a""#, r#"W/"b""#, r#""c,d""#]));
        assert_eq!(parse(""), these(&[]));
        for text in ["a", "\"a", "w/\"a\"", "\"a\"b", "\"a\" \"b\"", "*, \"a\"", "W/"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_matches_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers, &IF_MATCH), None);
        headers.append(IF_MATCH, HeaderValue::from_static("\"a\""));
        headers.append(IF_MATCH, HeaderValue::from_static("malformed"));
        assert_eq!(read(&headers, &IF_MATCH), Some(Tags::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[W/\"*, a]{0,20}") {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                read(&HeaderMap::from_iter([(IF_MATCH, value)]), &IF_MATCH);
            }
            parse(&text);
            version(&text, ANN);
        }
    }
}
