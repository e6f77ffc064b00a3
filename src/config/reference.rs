//! `config/reference.toml`: every setting with its meaning, what it accepts, its default and its variable.

use super::{
    setting::{self, Setting},
    shape::{Given, Shape},
};

const HEAD: &str = "\
# Every setting of Glasshouse. Written by the program (`glasshouse config reference`); a test compares.
#
# Later ones win: the defaults, then a file like this one (--config FILE or GLASSHOUSE_CONFIG), then the environment.
# A text or variable that is empty counts as not set. Lists are arrays here and separated by commas in variables.
# As it stands this file changes nothing: take the `#` away from a line to set it.
# `glasshouse config check` says what is wrong, `glasshouse config print` what is in effect.";

const STANDARD: &str = "
# OpenTelemetry's standard variables: set by the environment only. Any other OTEL_ variable that is set is named in
# one warning.";

/// The widest line.
const WIDTH: usize = 118;

/// The text of `config/reference.toml`: valid TOML that changes nothing.
#[must_use]
pub fn reference() -> String {
    let mut lines = vec![HEAD.to_owned()];
    let mut section = None;
    for setting in setting::in_files() {
        let (here, key) = setting.place();
        if here != section {
            section = here;
            lines.push(format!("\n[{}]", here.unwrap_or_default()));
        }
        describe(setting, &mut lines);
        lines.push(format!("# {}", setting.variable()));
        lines.push(format!("#{key} = {}", default(setting)));
    }
    lines.push(STANDARD.to_owned());
    for setting in setting::all().filter(|setting| setting.is_standard()) {
        describe(setting, &mut lines);
        lines.push(format!("#   {}={}", setting.name, setting.default));
    }
    lines.join("\n") + "\n"
}

fn describe(setting: &Setting, lines: &mut Vec<String>) {
    lines.push(String::new());
    wrap(setting.meaning, lines);
    wrap(&format!("Accepted: {}.", setting.shape), lines);
}

/// A sentence as comments, none of them wider than [`WIDTH`].
fn wrap(sentence: &str, lines: &mut Vec<String>) {
    let mut line = "#".to_owned();
    for word in sentence.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, "#".to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
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
