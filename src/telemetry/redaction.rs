//! Replaces configured secrets in whatever leaves the process as telemetry.
//!
//! Our own lines name no secret. Those of libraries may: a URL with a key in its query, a header. A library's text is
//! not ours to change, and a list of such places would end with the next version; so every line and every exported item
//! is searched for the secrets themselves.

use std::{borrow::Cow, collections::BTreeSet, fmt, sync::Arc};

use aho_corasick::AhoCorasick;

/// What stands in the place of a secret.
const REPLACEMENT: &str = "…";

/// Shorter secrets are not searched for: they would be found in ordinary text.
const MIN_SECRET_CHARS: usize = 6;
/// Neither are shorter ones of small letters alone, such as `postgres`: they would be found in ordinary words.
const MIN_WORD_CHARS: usize = 16;

/// Finds and replaces a set of secrets. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<AhoCorasick>>);

impl Redactor {
    /// A redactor of these secrets, as they are and as quoted text shows them. A secret of several lines, such as a
    /// key, is found by each of its lines.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns = BTreeSet::new();
        for line in secrets.into_iter().flat_map(str::lines).map(str::trim) {
            let is_word = line.bytes().all(|byte| byte.is_ascii_lowercase());
            let least = if is_word { MIN_WORD_CHARS } else { MIN_SECRET_CHARS };
            if line.chars().count() < least || line.starts_with("-----") {
                continue;
            }
            let quoted = format!("{line:?}");
            let json = serde_json::Value::from(line).to_string();
            patterns.extend([
                line.to_owned(),
                quoted[1..quoted.len() - 1].to_owned(),
                json[1..json.len() - 1].to_owned(),
            ]);
        }
        // The longest first: one secret may be the beginning of another.
        let search = AhoCorasick::builder().match_kind(aho_corasick::MatchKind::LeftmostLongest).build(&patterns);
        Self(search.ok().filter(|_| !patterns.is_empty()).map(Arc::new))
    }

    /// Replaces every secret in the text.
    pub fn redact(&self, text: &mut String) {
        if let Some(search) = self.0.as_ref().filter(|search| search.is_match(text.as_str())) {
            *text = search.replace_all(text, &vec![REPLACEMENT; search.patterns_len()]);
        }
    }

    /// The same bytes without secrets.
    pub(super) fn redacted<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        match self.0.as_ref().filter(|search| search.is_match(line)) {
            Some(search) => search.replace_all_bytes(line, &vec![REPLACEMENT; search.patterns_len()]).into(),
            None => line.into(),
        }
    }
}

/// Nothing of what it searches for.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Redactor;

    #[test]
    fn secrets_are_replaced_in_whatever_form_they_are_written() {
        let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIE\n-----END PRIVATE KEY-----\n";
        let redactor = Redactor::new([
            "hush-hush",
            "hush-hush-longer",
            "with\"quote",
            "a1b2",
            "postgres",
            "correcthorsebatterystaple",
            key,
        ]);
        for (text, expected) in [
            ("GET http://c/?key=hush-hush&a=b", "GET http://c/?key=…&a=b"),
            ("hush-hush-longer hush-hush", "… …"),
            (r#"{"a":"with\"quote"}"#, r#"{"a":"…"}"#),
            ("a1b2 postgres", "a1b2 postgres"),
            ("correcthorsebatterystaple", "…"),
            ("-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIE", "-----BEGIN PRIVATE KEY-----\\n…"),
        ] {
            let mut redacted = text.to_owned();
            redactor.redact(&mut redacted);
            assert_eq!(redacted, expected);
            assert_eq!(redactor.redacted(text.as_bytes()).as_ref(), expected.as_bytes());
        }
    }

    #[test]
    fn redactor_without_secrets_changes_nothing() {
        let (mut text, redactor) = ("anything".to_owned(), Redactor::new(["", "a"]));
        redactor.redact(&mut text);
        assert_eq!((text.as_str(), redactor.redacted(b"anything").as_ref()), ("anything", &b"anything"[..]));
    }
}
