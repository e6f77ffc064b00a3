//! Did you mean …?

use super::setting;

/// The most edits between what was written and what may have been meant.
const MAX_EDITS: usize = 2;

/// What may have been meant by the name of an unknown variable, as the end of a sentence; empty if nothing is near.
pub(super) fn variable(written: &str) -> String {
    suggestion(written, setting::all().map(setting::Setting::variable).chain([super::CONFIG_VARIABLE.to_owned()]))
}

/// The same for an unknown key of a file.
pub(super) fn key(written: &str) -> String {
    suggestion(written, setting::in_files().map(|setting| setting.name.to_owned()))
}

/// The same for an unknown section of a file.
pub(super) fn section(written: &str) -> String {
    suggestion(written, setting::in_files().filter_map(|setting| setting.place().0.map(str::to_owned)))
}

fn suggestion(written: &str, known: impl Iterator<Item = String>) -> String {
    known
        .map(|name| (edits(written, &name), name))
        .filter(|(edits, _)| *edits <= MAX_EDITS)
        .min()
        .map(|(_, name)| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

/// How many characters have to be put in, left out or replaced (Levenshtein's distance); far more than
/// [`MAX_EDITS`] where the lengths alone say so.
fn edits(from: &str, to: &str) -> usize {
    if from.len().abs_diff(to.len()) > 4 * MAX_EDITS {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, have) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, want) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(have != want);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::edits;

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("listen", "listen", 0),
            ("lsten", "listen", 1),
            ("listne", "listen", 2),
            ("ab", "xy", 2),
        ] {
            assert_eq!(edits(from, to), expected, "{from} {to}");
            assert_eq!(edits(to, from), expected, "{to} {from}");
        }
    }
}
