//! Did you mean …?

use super::setting;

/// The most edits between what was written and what may have been meant.
const MAX_EDITS: usize = 2;

/// What may have been meant by the name of an unknown variable, as the end of a sentence; empty if nothing is near.
pub(super) fn variable(written: &str) -> String {
    word(written, setting::all().map(setting::Setting::variable).chain([super::CONFIG_VARIABLE.to_owned()]))
}

/// The same for an unknown key of a file.
pub(super) fn key(written: &str) -> String {
    word(written, setting::in_files().map(|setting| setting.name.to_owned()))
}

/// The same for an unknown section of a file.
pub(super) fn section(written: &str) -> String {
    word(written, setting::in_files().filter_map(|setting| setting.place().0.map(str::to_owned)))
}

/// The same for any word of a list. Upper and lower case are the same here.
pub(super) fn word(written: &str, known: impl Iterator<Item = String>) -> String {
    let written = written.to_ascii_lowercase();
    known
        // The distance takes time in proportion to both lengths; names that differ much in length are not near.
        .filter(|name| name.len().abs_diff(written.len()) <= 4 * MAX_EDITS)
        .map(|name| (strsim::osa_distance(&written, &name.to_ascii_lowercase()), name))
        .filter(|(edits, _)| *edits <= MAX_EDITS)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn suggestion_names_the_nearest_word() {
        let known = || ["sslmode", "sslcert", "user"].map(str::to_owned).into_iter();
        for (written, expected) in [
            ("ssl_mode", "; did you mean sslmode?"),
            ("SSLMODE", "; did you mean sslmode?"),
            ("sslmdoe", "; did you mean sslmode?"),
            ("usr", "; did you mean user?"),
            ("connect_timeout", ""),
            ("", ""),
        ] {
            assert_eq!(word(written, known()), expected, "{written}");
        }
    }
}
