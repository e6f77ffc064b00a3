//! Showing what was read without showing what is secret.

use toml::de::DeValue;
use url::{Position, Url};

use super::shape::{Given, Shape};

/// What stands for a secret.
pub(super) const HIDDEN: &str = "\"…\"";

/// The most characters of a value that are shown.
const MAX_CHARS: usize = 120;

/// Parts of a URL's query that are no secrets; whatever is not named here is taken for one.
const OPEN_PARAMETERS: &[&str] =
    &["mode", "cache", "immutable", "vfs", "sslmode", "application_name", "options", "host", "port", "dbname", "user"];

/// Whether the value of such a parameter of a URL is no secret.
pub(super) fn is_open_parameter(name: &str) -> bool {
    OPEN_PARAMETERS.contains(&name)
}

/// What was read for a setting of this shape: quoted, shortened, without secrets. `source` is the file's text for it.
pub(super) fn shown(shape: Shape, given: Given<'_>, source: &str) -> String {
    match (shape, given) {
        (shape, _) if shape.is_secret() || source.contains("PRIVATE KEY") => HIDDEN.to_owned(),
        (Shape::Url(_) | Shape::Endpoint, Given::Text(text)) => quoted(&url(text)),
        (Shape::Url(_) | Shape::Endpoint, Given::Toml(DeValue::String(text))) => quoted(&url(text)),
        (Shape::Url(_) | Shape::Endpoint, Given::Toml(_)) => HIDDEN.to_owned(),
        (_, Given::Text(text)) => quoted(text),
        (_, Given::Toml(_)) => shortened(&source.escape_debug().to_string().replace("\\\"", "\"")),
    }
}

/// A text in quotes, on one line, shortened.
pub(super) fn quoted(text: &str) -> String {
    shortened(&format!("{text:?}"))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A URL without user, password, fragment, and the parameters that are not known to be harmless.
/// What is no URL could be anything and is not shown at all.
pub(super) fn url(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return "…".to_owned() };
    if url.cannot_be_a_base() {
        let is_harmless = url.scheme() == "sqlite" && !url.path().contains(['@', '?']);
        let path = if is_harmless { url.path() } else { "…" };
        return format!("{}:{path}", url.scheme());
    }
    let user = if url.username().is_empty() && url.password().is_none() { "" } else { "…@" };
    // `postgres://u:5/ss@host` and `postgres://u:5?s=s@host` have no user: what follows is the rest of a password.
    let path = if url.path().contains('@') { "/…" } else { url.path() };
    let host = &url[Position::BeforeHost..Position::BeforePath];
    let shown = format!("{}{user}{host}{path}", &url[..Position::BeforeUsername]);
    let is_cut = url.path().is_empty() && url.query().is_some_and(|query| query.contains('@'));
    let is_name = |key: &str| !is_cut && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.[]".contains(c));
    let query: Vec<String> = url
        .query_pairs()
        .map(|(key, value)| {
            let value = if is_open_parameter(&key) { value } else { "…".into() };
            if is_name(&key) { format!("{key}={value}") } else { "…".to_owned() }
        })
        .collect();
    if query.is_empty() { shown } else { format!("{shown}?{}", query.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn urls_are_shown_without_their_secrets() {
        for (text, expected) in [
            ("sqlite://data/glasshouse.db?mode=rwc", "sqlite://data/glasshouse.db?mode=rwc"),
            ("sqlite::memory:", "sqlite::memory:"),
            ("postgres://ann:hush@db:5432/users?sslmode=require", "postgres://…@db:5432/users?sslmode=require"),
            ("postgres://db/users?password=hush", "postgres://db/users?password=…"),
            ("postgres:ann:hush@db/users", "postgres:…"),
            ("https://hush@collector/v1/traces#hush", "https://…@collector/v1/traces"),
            ("postgres//ann:hush@db", "…"),
            ("postgres://ann:5/hush@db/users", "postgres://ann:5/…"),
            ("postgres://ann:5?hush@db/users", "postgres://ann:5?…"),
            ("postgres://ann:5?hush=hush@db/users", "postgres://ann:5?…"),
        ] {
            assert_eq!(url(text), expected);
        }
    }
}
