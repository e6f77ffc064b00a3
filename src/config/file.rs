//! The file: TOML, each value with the line it stands on.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    faults::{Fault, Faults},
    near,
    setting::{self, Setting},
    sources::Origin,
};

/// The longest file that is read, in bytes: settings, keys. What is longer is something else.
const MAX_BYTES: u64 = 1024 * 1024;

/// The whole text of a file.
///
/// # Errors
/// When it cannot be read, is longer than 1 MiB or is not UTF-8.
pub(super) fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_BYTES) {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
    }
    Ok(text)
}

/// What a file says.
pub(super) struct Contents<'a> {
    path: &'a Path,
    text: &'a str,
    table: DeTable<'a>,
}

/// One value of a file.
pub(super) struct Entry<'a> {
    pub(super) value: &'a DeValue<'a>,
    /// As it was written.
    pub(super) source: &'a str,
    pub(super) origin: Origin,
}

impl<'a> Contents<'a> {
    /// Reads TOML. What is not TOML says nothing at all: it would only be guessed at.
    pub(super) fn parse(path: &'a Path, text: &'a str, faults: &mut Faults) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut contents = Self { path, text, table: table.into_inner() };
        for error in &errors {
            faults.add(Fault {
                setting: "config".to_owned(),
                origin: contents.origin(error.span().unwrap_or_default().start),
                // The text around it could be a secret.
                read: None,
                accepted: format!("TOML ({})", error.message().lines().next().unwrap_or("malformed")),
            });
        }
        if !errors.is_empty() {
            contents.table = DeTable::new();
        }
        contents
    }

    /// What the file says of one setting.
    pub(super) fn get(&self, setting: &Setting) -> Option<Entry<'_>> {
        let (section, key) = setting.place();
        let table = match section {
            None => &self.table,
            Some(section) => self.table.get(section)?.get_ref().as_table()?,
        };
        table.get(key).map(|value| self.entry(value))
    }

    /// Says which sections and keys nobody knows.
    pub(super) fn refuse_unknown(&self, faults: &mut Faults) {
        for (name, value) in &self.table {
            let section = name.get_ref().as_ref();
            let keys: Vec<_> = setting::in_files().filter(|setting| setting.place().0 == Some(section)).collect();
            match value.get_ref().as_table() {
                Some(table) if !keys.is_empty() => {
                    for key in table.keys() {
                        let full = format!("{section}.{}", key.get_ref());
                        if !keys.iter().any(|setting| setting.name == full) {
                            faults.add(self.unknown(key.span().start, &full, &near::key(&full)));
                        }
                    }
                }
                None if !keys.is_empty() => faults.add(Fault {
                    setting: section.to_owned(),
                    origin: self.origin(value.span().start),
                    read: None,
                    accepted: format!("a table: [{section}]"),
                }),
                Some(_) if setting::in_files().all(|setting| setting.name != section) => {
                    faults.add(self.unknown(name.span().start, section, &near::section(section)));
                }
                None if setting::in_files().all(|setting| setting.name != section) => {
                    faults.add(self.unknown(name.span().start, section, &near::key(section)));
                }
                _ => {}
            }
        }
    }

    fn unknown(&self, at: usize, name: &str, near: &str) -> Fault {
        Fault {
            setting: name.to_owned(),
            origin: self.origin(at),
            read: None,
            accepted: format!("a key of config/reference.toml{near}"),
        }
    }

    fn entry<'b>(&'b self, value: &'b Spanned<DeValue<'a>>) -> Entry<'b> {
        Entry {
            value: value.get_ref(),
            source: self.text.get(value.span()).unwrap_or_default(),
            origin: self.origin(value.span().start),
        }
    }

    fn origin(&self, at: usize) -> Origin {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        Origin::File { path: self.path.to_owned(), line: Some(line) }
    }
}
