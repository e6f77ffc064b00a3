//! What a user wants to be called.

use std::ops::RangeInclusive;

use unicode_normalization::UnicodeNormalization;

use crate::domain::Fault;

/// 1 to 100 characters, not only white space, and nothing that is there without being seen: control characters, marks
/// that turn the direction of the text, characters of no width, private ones. In NFC, so that what looks the same is.
///
/// Characters that no version of Unicode has assigned yet are accepted: the sender may know a newer one than we do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The most characters (Unicode scalar values) a name has.
    pub const MAX_CHARS: usize = 100;

    /// What no name has in it beside control characters: what Unicode wants ignored where it is shown, what turns the
    /// direction of the text, ends of lines, private characters, and what is no character.
    pub const INVISIBLE: [RangeInclusive<char>; 19] = [
        '\u{ad}'..='\u{ad}',
        '\u{34f}'..='\u{34f}',
        '\u{61c}'..='\u{61c}',
        '\u{115f}'..='\u{1160}',
        '\u{17b4}'..='\u{17b5}',
        '\u{180b}'..='\u{180f}',
        '\u{200b}'..='\u{200b}',
        '\u{200e}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{3164}'..='\u{3164}',
        '\u{e000}'..='\u{f8ff}',
        '\u{fdd0}'..='\u{fdef}',
        '\u{fe00}'..='\u{fe0d}',
        '\u{feff}'..='\u{feff}',
        '\u{ffa0}'..='\u{ffa0}',
        '\u{fff0}'..='\u{fffb}',
        '\u{fffe}'..='\u{ffff}',
        '\u{e0000}'..='\u{10ffff}',
    ];

    /// Reads a name, and brings it into NFC; nothing is trimmed or repaired otherwise.
    ///
    /// # Errors
    /// `too_short`, `too_long`, `control_character` or `invisible_character`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let Self(text) = Self::parse_kept(text)?;
        let is_invisible = |char| Self::INVISIBLE.iter().any(|range| range.contains(&char));
        if text.chars().any(is_invisible) || !joins(&text) {
            let message = "must not contain characters that cannot be seen, or that turn the direction of the text";
            return Err(Fault::new("invisible_character", message));
        }
        // A few characters become two or three by it.
        Self::parse_kept(&text.nfc().collect::<String>())
    }

    /// Reads a name that an account may have had before [`Name::parse`] became as strict as it is.
    ///
    /// # Errors
    /// `too_short`, `too_long` or `control_character`.
    pub fn parse_kept(text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::new("too_short", "must have at least 1 character that is not white space"));
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(Fault::new("too_long", "must have at most 100 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(Fault::new("control_character", "must not contain control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether every joiner joins and every variation selector has something to vary, which Persian names, scripts of India
/// and emoji need. Beside ASCII or a space they only hide.
fn joins(text: &str) -> bool {
    let is_joiner = |char: &char| matches!(char, '\u{200c}' | '\u{200d}');
    let is_selector = |char: &char| matches!(char, '\u{fe0e}' | '\u{fe0f}');
    let is_varied = |char: &char| !char.is_ascii() && !char.is_whitespace() && !is_joiner(char) && !is_selector(char);
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let fine = if is_joiner(&char) {
            before.as_ref().is_some_and(|before| is_varied(before) || is_selector(before))
                && chars.peek().is_some_and(is_varied)
        } else {
            !is_selector(&char) || before.as_ref().is_some_and(is_varied)
        };
        if !fine {
            return false;
        }
        before = Some(char);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Name;

    #[test]
    fn people_are_called_what_they_are_called() {
        for text in [
            "Ann",
            "Ann Lee-O'Neil, PhD",
            "Zoë",
            "Љубица",
            "محمد علی",
            "علی\u{200c}رضا",
            "ක්\u{200d}රිෂ්ණ",
            "王小明",
            "Ann 🦀",
            "❤\u{fe0f}\u{200d}🔥",
            "👩\u{200d}💻",
        ] {
            assert_eq!(Name::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_refused() {
        for (text, code) in [
            ("", "too_short"),
            (" \t ", "too_short"),
            ("\u{2003}\u{3000}", "too_short"),
            ("a\0", "control_character"),
            ("a\r\nb", "control_character"),
            ("a\tb", "control_character"),
            ("a\u{7f}", "control_character"),
            ("a\u{85}b", "control_character"),
            ("\u{202e}nna", "invisible_character"),
            ("a\u{2066}b\u{2069}", "invisible_character"),
            ("a\u{200f}b", "invisible_character"),
            ("a\u{200b}b", "invisible_character"),
            ("a\u{feff}b", "invisible_character"),
            ("a\u{ad}b", "invisible_character"),
            ("a\u{2028}b", "invisible_character"),
            ("\u{3164}", "invisible_character"),
            ("a\u{e000}", "invisible_character"),
            ("a\u{ffff}", "invisible_character"),
            ("a\u{e0041}", "invisible_character"),
            ("a\u{10ffff}", "invisible_character"),
            ("a\u{200d}b", "invisible_character"),
            ("é\u{200d}", "invisible_character"),
            ("\u{200d}é", "invisible_character"),
            ("é\u{200d}\u{200d}é", "invisible_character"),
            ("é\u{200c} é", "invisible_character"),
            ("a\u{fe0f}", "invisible_character"),
            ("é\u{fe0f}\u{fe0f}", "invisible_character"),
        ] {
            assert_eq!(Name::parse(text).map_err(|fault| fault.code).err(), Some(code), "{text:?}");
        }
    }

    #[test]
    fn two_spellings_of_one_letter_are_one_name() {
        assert_eq!(Name::parse("Zoe\u{308}").expect("it is one"), Name::parse("Zo\u{eb}").expect("it is one"));
    }

    #[test]
    fn a_name_that_grows_by_it_is_as_bounded_as_any() {
        let growing = |count| Name::parse(&"\u{958}".repeat(count)).map(|name| name.as_str().chars().count());
        assert_eq!(growing(50), Ok(100));
        assert_eq!(growing(51).map_err(|fault| fault.code), Err("too_long"));
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_be_seen_and_is_accepted_again(
            text in "\\PC{0,120}|[a-cé\u{200b}-\u{200f}\u{2028}-\u{202e}\u{fe0f}\u{300}-\u{302}👩 ]{0,12}",
        ) {
            if let Ok(name) = Name::parse(&text) {
                let hidden = |char: char| Name::INVISIBLE.iter().any(|range| range.contains(&char)) || char.is_control();
                prop_assert!(!name.as_str().contains(hidden));
                prop_assert!((1..=Name::MAX_CHARS).contains(&name.as_str().chars().count()));
                prop_assert_eq!(Name::parse(name.as_str()).expect("it was accepted"), name);
            }
        }
    }
}
