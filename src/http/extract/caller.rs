//! Who asks: the bearer of an access token (RFC 6750), in the `Authorization` header and nowhere else.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};

use super::super::{Api, problem::Problem};
use crate::{domain::auth::Caller, telemetry::Request};

/// Somebody who has been recognised; 401 for everybody else.
pub(in crate::http) struct Signed(pub(in crate::http) Caller);

impl FromRequestParts<Arc<Api>> for Signed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let caller = api.auth.recognise(bearer(&parts.headers)?).await?;
        Request::with_current(|request| request.belongs_to(caller.user.id.0.to_string()));
        Ok(Self(caller))
    }
}

/// The token that is shown.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Problem::token_missing()) };
    if values.next().is_some() {
        return Err(Problem::token_malformed());
    }
    let value = value.to_str().map_err(|_| Problem::token_malformed())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err(Problem::token_malformed()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
    use proptest::prelude::*;

    use super::bearer;

    #[test]
    fn one_bearer_token_is_read() {
        let mut headers = HeaderMap::new();
        assert!(bearer(&headers).is_err());
        headers.insert(AUTHORIZATION, HeaderValue::from_static("bEARER  abc.def"));
        assert_eq!(bearer(&headers).expect("it is one"), "abc.def");
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        assert!(bearer(&headers).is_err());
    }

    #[test]
    fn other_schemes_are_no_token() {
        for text in ["", "Bearer", "Bearer ", "Basic YTpi", "abc.def"] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))]);
            assert!(bearer(&headers).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                drop(bearer(&HeaderMap::from_iter([(AUTHORIZATION, value)])));
            }
        }
    }
}
