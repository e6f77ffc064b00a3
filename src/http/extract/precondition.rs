//! Entity tags, and requests that depend on them (RFC 9110, sections 8.8 and 13).

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
use crate::domain::{
    auth::Caller,
    users::{self, User, UserId, Users, Version},
};

/// The tag of one version of one account: strong, and never the same for two accounts.
pub(in crate::http) fn etag(user: &User) -> HeaderValue {
    let text = tag(user.id, user.version);
    HeaderValue::try_from(text).expect("hexadecimal digits, quotes and a number can stand in a header")
}

fn tag(id: UserId, version: Version) -> String {
    format!("\"{}-{}\"", id.0.simple(), version.0)
}

/// `If-Match`, or that there is none.
pub(in crate::http) struct IfMatch(Option<Tags>);

/// `If-None-Match`, or that there is none.
pub(in crate::http) struct IfNoneMatch(Option<Tags>);

/// What a header of tags says.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: any version.
    Any,
    /// These, with their quotes; weak ones keep their `W/`. Empty if the header cannot be read: it matches nothing.
    These(Vec<String>),
}

impl FromRequestParts<Arc<Api>> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Infallible> {
        Ok(Self(read(&parts.headers, &IF_MATCH)))
    }
}

impl FromRequestParts<Arc<Api>> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Infallible> {
        Ok(Self(read(&parts.headers, &IF_NONE_MATCH)))
    }
}

impl IfMatch {
    /// The same, where a change without it is refused: it could overwrite what its sender has never seen.
    ///
    /// # Errors
    /// 428.
    pub(in crate::http) fn required(self) -> Result<Self, Problem> {
        if self.0.is_some() {
            return Ok(self);
        }
        let detail = "send the ETag of the version that you have seen as If-Match, or * for any";
        Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", detail))
    }

    /// The version that the sender has seen of that account; none if any will do. If it is none that ever was, the
    /// domain says so in its turn: after it has judged whether the caller may know.
    ///
    /// # Errors
    /// Those of reading the account, which is asked for only if several of its versions are named.
    pub(in crate::http) async fn seen(
        self,
        users: &Users,
        caller: &Caller,
        id: UserId,
    ) -> Result<Option<Version>, users::Error> {
        /// Versions count from 1.
        const NEVER: Version = Version(0);

        let versions = match &self.0 {
            None | Some(Tags::Any) => return Ok(None),
            Some(Tags::These(tags)) => tags.iter().filter_map(|tag| version(tag, id)).collect::<Vec<_>>(),
        };
        match versions[..] {
            [] => Ok(Some(NEVER)),
            [version] => Ok(Some(version)),
            _ => {
                let current = users.read(caller, id).await?.version;
                Ok(Some(if versions.contains(&current) { current } else { NEVER }))
            }
        }
    }
}

impl IfNoneMatch {
    /// Whether the client has this version already. Weak tags count: only the content matters here.
    pub(in crate::http) fn knows(&self, user: &User) -> bool {
        let current = tag(user.id, user.version);
        match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.iter().any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == current),
        }
    }
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
        Ok(values) => Some(parse(&values.join(",")).unwrap_or(Tags::These(Vec::new()))),
        Err(_) => Some(Tags::These(Vec::new())),
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
        assert_eq!(read(&headers, &IF_MATCH), Some(Tags::These(Vec::new())));
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
