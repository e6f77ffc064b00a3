//! What a setting is: its names, what it accepts, its default, what it means.

use super::{otel, settings, shape::Shape};

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// `http.listen`: section and key in the file; or a standard variable's name, which no file can hold.
    pub(super) name: &'static str,
    /// The environment variable that sets it, where it is not made of the name.
    pub(super) variable: Option<&'static str>,
    /// What it accepts.
    pub(super) shape: Shape,
    /// The default, as a variable would give it; empty where there is none.
    pub(super) default: &'static str,
    /// What it means, in one or two sentences.
    pub(super) meaning: &'static str,
}

impl Setting {
    /// The environment variable that sets it: `GLASSHOUSE_HTTP__LISTEN`.
    pub(super) fn variable(&self) -> String {
        match self.variable {
            Some(variable) => variable.to_owned(),
            None if self.is_standard() => self.name.to_owned(),
            None => format!("{PREFIX}{}", self.name.replace('.', "__").to_uppercase()),
        }
    }

    /// Whether it is one of OpenTelemetry's standard variables, which only the environment sets.
    pub(super) fn is_standard(&self) -> bool {
        self.name.starts_with(STANDARD_PREFIX)
    }

    /// The setting that names a file with the value of this one: `store.url_file` for `store.url`.
    pub(super) fn file(&self) -> Option<&'static Self> {
        let is_of_file = |known: &&Self| {
            known.name.strip_suffix("_file").or(known.name.strip_suffix("_FILE")).is_some_and(|name| name == self.name)
        };
        all().find(is_of_file)
    }

    /// The table of the file that holds it, and its key there; no table at all for `environment`.
    pub(super) fn place(&self) -> (Option<&'static str>, &'static str) {
        match self.name.split_once('.') {
            Some((section, key)) => (Some(section), key),
            None => (None, self.name),
        }
    }
}

/// What our own variables begin with.
pub(super) const PREFIX: &str = "GLASSHOUSE_";
/// What OpenTelemetry's variables begin with.
pub(super) const STANDARD_PREFIX: &str = "OTEL_";

/// Every setting there is, in the order of the reference.
pub(super) fn all() -> impl Iterator<Item = &'static Setting> {
    settings::SETTINGS.iter().chain(otel::SETTINGS)
}

/// The settings that a file may hold.
pub(super) fn in_files() -> impl Iterator<Item = &'static Setting> {
    all().filter(|setting| !setting.is_standard())
}
