//! The reason why a value is refused, where the words of its shape alone would not name it.

use toml::de::DeValue;
use url::Url;

use super::{
    near, redact,
    shape::{Given, Shape},
};
use crate::telemetry::LogFilter;

/// What would be accepted instead of a refused value; no part of a secret or a URL is repeated.
pub(super) fn accepted(shape: Shape, given: Given<'_>) -> String {
    reason(shape, given).map_or_else(|| shape.to_string(), |reason| format!("{shape}; {reason}"))
}

fn reason(shape: Shape, given: Given<'_>) -> Option<String> {
    let (text, is_toml) = match given {
        Given::Text(text) => (text, false),
        Given::Toml(DeValue::String(text)) => (text.as_ref(), true),
        Given::Toml(_) => return None,
    };
    let reads = |text: &str| shape.read(Given::Text(text)).is_some();
    if is_toml && reads(text) {
        return Some(if shape.is_list() { "written as an array" } else { "written without quotes" }.to_owned());
    }
    if reads(text.trim()) {
        return Some("without the spaces and line breaks around it".to_owned());
    }
    // `docker run --env-file` and systemd's `Environment=` keep quotes that a shell would take away.
    if let Some(inner) = unquoted(text)
        && reads(inner)
    {
        return Some("without the quotes around it".to_owned());
    }
    match shape {
        Shape::Filter => LogFilter::fault(text),
        Shape::Url(schemes) => url(text, schemes),
        Shape::Endpoint => url(text, &["http", "https"]),
        Shape::Choice(words) => {
            let near = near::word(text, words.iter().map(|word| (*word).to_owned()));
            near.strip_prefix("; ").map(str::to_owned)
        }
        shape if shape.is_list() => {
            let refused = text.split(',').map(str::trim).find(|item| !item.is_empty() && !reads(item))?;
            Some(format!("{} is none", redact::quoted(refused)))
        }
        _ => None,
    }
}

fn unquoted(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| text.trim().strip_prefix(quote)?.strip_suffix(quote))
}

/// What is wrong with a URL that has the right scheme.
fn url(text: &str, schemes: &[&str]) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    if !schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if !authority.contains('@') && rest.contains('@') {
        let (written, encoded) = match rest.as_bytes().first() {
            Some(b'/') => ('/', "%2F"),
            Some(b'?') => ('?', "%3F"),
            _ => ('#', "%23"),
        };
        return Some(format!("in user and password `{written}` is written {encoded}"));
    }
    match Url::parse(text) {
        Err(error) => Some(error.to_string()),
        Ok(url) => url.fragment().map(|_| "without `#`, which is written %23 in user and password".to_owned()),
    }
}
