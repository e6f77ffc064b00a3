//! The parameters of a URL, read as the members of a body are.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    super::problem::{FieldFault, Problem},
    Fields,
};
use crate::domain::Fault;

/// Every parameter, each at most once.
pub(in crate::http) struct Query(pub(in crate::http) Fields);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(parse(parts.uri.query().unwrap_or_default())))
    }
}

/// Refuses what an operation does not know, which would otherwise be ignored by those that look at no parameter.
///
/// # Errors
/// 422 with every parameter that is unknown or repeated.
pub(in crate::http) fn refuse_unknown(query: &str, known: &[&str]) -> Result<(), Problem> {
    let mut fields = parse(query);
    for name in known {
        fields.optional(name, |_| Ok(()));
    }
    fields.finish((Some(()),)).map(drop)
}

fn parse(query: &str) -> Fields {
    let mut members = Map::new();
    let mut faults = Vec::new();
    // Octets that are no UTF-8 become U+FFFD, which no parameter of ours accepts.
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if members.insert(name.clone().into_owned(), Value::String(value.into_owned())).is_some() {
            faults.push(FieldFault::new(&bounded(&name), Fault::new("repeated", "must be given once")));
        }
    }
    Fields::new(members, faults)
}

fn bounded(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;
    use crate::domain::users::{EmailPrefix, Limit, Role};

    #[test]
    fn parameters_are_decoded() {
        let mut fields = parse("limit=7&email_prefix=a%2Bb%40&role=admin");
        let values = (
            fields.optional("limit", Limit::parse),
            fields.optional("email_prefix", EmailPrefix::parse),
            fields.optional("role", Role::parse),
        );
        let (limit, prefix, role) = fields.finish(values).expect("all are fine");
        assert_eq!(limit.map(Limit::get), Some(7));
        assert_eq!(prefix.expect("it was given").lowest(None), "a+b@");
        assert_eq!(role, Some(Role::Admin));
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        for query in ["limit=7&limit=7", "page=2", "limit=", "limit=%FF", "=&"] {
            let mut fields = parse(query);
            let limit = fields.optional("limit", Limit::parse);
            assert!(fields.finish((limit,)).is_err(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "\\PC{0,100}") {
            drop(parse(&query).finish((Some(()),)));
        }
    }
}
