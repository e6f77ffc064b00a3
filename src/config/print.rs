//! Showing the settings that are in effect, and where each comes from; secrets never.

use std::time::Duration;

use super::{
    redact::{self, HIDDEN},
    shape::{Shape, Value},
    values::{Held, Values},
};

impl Value {
    /// As TOML would write it, on one line, without secrets.
    pub(super) fn shown(&self, shape: Shape) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Ratio(ratio) => ratio.to_string(),
            Self::Duration(duration) if matches!(shape, Shape::Milliseconds { .. }) => duration.as_millis().to_string(),
            Self::Duration(duration) => literal(&self::duration(*duration)),
            Self::Text(text) if matches!(shape, Shape::Endpoint) => literal(&endpoint(text)),
            Self::Text(text) => literal(text),
            Self::Secret(_) => HIDDEN.to_owned(),
            Self::Address(address) => literal(&address.to_string()),
            Self::Url(url) => literal(&redact::url(url.as_str())),
            Self::Networks(networks) => list(networks.iter().map(ToString::to_string)),
            Self::Texts(texts) => list(texts.iter().cloned()),
            Self::Pairs(pairs) => literal(&joined(pairs.iter().map(|(key, value)| format!("{key}={value}")))),
            Self::Headers(headers) => literal(&joined(headers.iter().map(|(name, _)| format!("{name}=…")))),
        }
    }
}

/// A length of time in its largest whole unit.
pub(super) fn duration(duration: Duration) -> String {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    match () {
        () if nanoseconds > 0 && nanoseconds % 1_000_000 == 0 => format!("{}ms", duration.as_millis()),
        () if nanoseconds > 0 => format!("{}ns", duration.as_nanos()),
        () if seconds == 0 => "0s".to_owned(),
        () if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        () if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        () if seconds % 60 == 0 => format!("{}m", seconds / 60),
        () => format!("{seconds}s"),
    }
}

/// An endpoint may stand without its scheme.
fn endpoint(text: &str) -> String {
    if text.contains("://") {
        return redact::url(text);
    }
    let shown = redact::url(&format!("http://{text}"));
    shown.strip_prefix("http://").unwrap_or(&shown).to_owned()
}

fn literal(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(items: impl Iterator<Item = String>) -> String {
    toml::Value::from(items.collect::<Vec<_>>()).to_string()
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

impl Held {
    pub(super) fn shown(&self) -> String {
        let missing = if self.setting.shape.is_list() { "[]" } else { "\"\"" };
        self.value.as_ref().map_or_else(|| missing.to_owned(), |value| value.shown(self.setting.shape))
    }
}

/// Everything as TOML, each line with its origin.
pub(super) fn toml(values: &Values) -> String {
    let (standard, ours): (Vec<_>, Vec<_>) = values.all().partition(|held| held.setting.is_standard());
    let mut lines = Vec::new();
    let mut section = None;
    for held in ours {
        let (here, key) = held.setting.place();
        if here != section {
            section = here;
            lines.push(format!("\n[{}]", here.unwrap_or_default()));
        }
        lines.push(format!("{key} = {}  # {}", held.shown(), held.origin));
    }
    lines.push("\n# Set by the environment only:".to_owned());
    lines.extend(standard.iter().map(|held| format!("# {} = {}  # {}", held.setting.name, held.shown(), held.origin)));
    lines.join("\n") + "\n"
}

/// Everything as JSON: `{"http.listen": {"value": …, "origin": "default"}}`.
pub(super) fn json(values: &Values) -> serde_json::Value {
    let entry = |held: &Held| {
        let shown = held.shown();
        let value = toml::from_str::<toml::Table>(&format!("v = {shown}"))
            .ok()
            .and_then(|mut table| table.remove("v"))
            .and_then(|value| serde_json::to_value(value).ok())
            .unwrap_or_else(|| serde_json::Value::from(shown));
        serde_json::json!({ "value": value, "origin": held.origin.to_string() })
    };
    values.all().map(|held| (held.setting.name.to_owned(), entry(held))).collect::<serde_json::Map<_, _>>().into()
}
