//! Which account a path means.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use uuid::Uuid;

use super::super::{Api, problem::Problem};
use crate::domain::{
    Fault,
    users::{self, UserId},
};

/// The `{id}` of a path. What can be no id is an account that does not exist: 404.
pub(in crate::http) struct Target(pub(in crate::http) UserId);

impl FromRequestParts<Arc<Api>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, api).await.ok();
        text.and_then(|Path(text)| parse(&text)).map(Self).ok_or_else(|| users::Error::NotFound.into())
    }
}

/// Reads an id that is a parameter.
///
/// # Errors
/// `malformed`.
pub(in crate::http) fn id(text: &str) -> Result<UserId, Fault> {
    parse(text).ok_or(Fault::new("malformed", "must be the id of an account"))
}

/// Reads the one form that we write; braces, URNs and the form without hyphens are other names.
fn parse(text: &str) -> Option<UserId> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(UserId)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        assert!(parse("0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b").is_some());
        for text in ["", "me", "0190b5a17c3e7d2f8a4b5c6d7e8f9a0b", "{0190b5a1-7c3e-7d2f-8a4b-5c6d7e8f9a0b}"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            parse(&text);
        }
    }
}
