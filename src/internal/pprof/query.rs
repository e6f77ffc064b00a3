//! The parameters of a request, of which none is trusted.

use std::{collections::BTreeMap, convert::Infallible, fmt::Display, ops::RangeInclusive, str::FromStr};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::Refusal;

/// A query, decoded. Of a parameter that is given twice the first counts, as Go has it.
#[derive(Debug, Default)]
pub(in crate::internal) struct Query(BTreeMap<String, String>);

impl Query {
    fn parse(query: &str) -> Self {
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            parameters.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self(parameters)
    }

    /// The parameter as it stands there.
    pub(in crate::internal) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number within bounds, if it is given.
    ///
    /// # Errors
    /// A 400 that names the parameter and its bounds.
    pub(in crate::internal) fn whole<N>(&self, name: &str, bounds: RangeInclusive<N>) -> Result<Option<N>, Refusal>
    where
        N: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.map(Some).ok_or_else(|| {
            Refusal::parameter(format!("{name} must be a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// One of some words; the first of them if none is given.
    ///
    /// # Errors
    /// A 400 that names the parameter and the words.
    pub(in crate::internal) fn word(&self, name: &str, words: &[&'static str]) -> Result<&'static str, Refusal> {
        let Some(text) = self.get(name) else { return Ok(words[0]) };
        let known = words.iter().find(|word| **word == text).copied();
        known.ok_or_else(|| Refusal::parameter(format!("{name} must be one of {}", words.join(", "))))
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn a_parameter_is_read_or_refused_by_its_name() {
        let query = Query::parse("seconds=5&seconds=6&format=svg&debug=-1&name=%FF%00");
        assert_eq!(query.whole("seconds", 1..=300), Ok(Some(5)));
        assert_eq!(query.whole::<u32>("frequency", 1..=100), Ok(None));
        assert_eq!(query.word("format", &["pprof", "svg"]), Ok("svg"));
        assert_eq!(query.word("other", &["pprof", "svg"]), Ok("pprof"));
        assert_eq!(query.word("format", &["pprof"]).unwrap_err().reason, "format must be one of pprof");
        assert_eq!(query.whole("debug", 0..=2).unwrap_err().reason, "debug must be a whole number from 0 to 2");
        assert_eq!(query.get("name"), Some("\u{fffd}\0"));
    }
}
