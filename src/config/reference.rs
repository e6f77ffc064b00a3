//! `config/reference.toml`: every setting with its meaning, what it accepts, its default and its variable.

use std::fmt::Write as _;

use super::{
    setting::{self, Setting},
    shape::{Given, Shape},
};

const HEAD: &str = "\
# Every setting of Glasshouse. Written by the program (`glasshouse config reference`); a test compares.
#
# What counts: the defaults, below them a file like this one (--config FILE or GLASSHOUSE_CONFIG), below it the
# environment. A variable or text that is empty counts as not set. Lists are arrays here and separated by commas in
# variables. Nothing here changes anything: take the `#` away from a line to set it.
# `glasshouse config check` says what is wrong, `glasshouse config print` what is in effect.
";

const STANDARD: &str = "
# OpenTelemetry's standard variables: set by the environment only. Any other OTEL_ variable that is set is named in
# one warning; those that choose certificates stop the start, since ignoring them would weaken TLS.
";

/// The widest line.
const WIDTH: usize = 118;

/// The text of `config/reference.toml`: valid TOML that changes nothing.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    let mut section = None;
    for setting in setting::in_files() {
        let here = setting.place().0;
        if here != section {
            section = here;
            text.push_str(&format!("\n[{}]\n", here.unwrap_or_default()));
        }
        describe(setting, &mut text);
        let _ = writeln!(text, "# {}", setting.variable());
        let _ = writeln!(text, "#{} = {}", setting.place().1, default(setting));
    }
    text.push_str(STANDARD);
    for setting in setting::all().filter(|setting| setting.is_standard()) {
        describe(setting, &mut text);
        let _ = writeln!(text, "#   {}={}", setting.name, setting.default);
    }
    text
}

fn describe(setting: &Setting, text: &mut String) {
    text.push('\n');
    wrapped(setting.meaning, text);
    wrapped(&format!("Accepted: {}.", setting.shape), text);
}

fn wrapped(sentence: &str, text: &mut String) {
    let mut width = WIDTH;
    for word in sentence.split_whitespace() {
        if width + 1 + word.chars().count() > WIDTH {
            text.push_str(if width == WIDTH { "#" } else { "\n#" });
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + word.chars().count();
    }
    text.push('\n');
}

/// The default as a file would hold it.
fn default(setting: &Setting) -> String {
    match setting.shape {
        shape if shape.is_list() && setting.default.is_empty() => "[]".to_owned(),
        Shape::Size { .. } | Shape::Duration { .. } => toml::Value::from(setting.default).to_string(),
        shape => match shape.read(Given::Text(setting.default)) {
            Some(value) if !setting.default.is_empty() => value.shown(shape),
            _ => "\"\"".to_owned(),
        },
    }
}
