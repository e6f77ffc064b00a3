//! What the program says of its settings and its command line, against the files in this repository.
//! `UPDATE_GOLDEN=1` rewrites them.

use std::{fs, path::Path};

use clap::CommandFactory;
use glasshouse::{
    app::Arguments,
    config::{Settings, Sources, load, reference},
};

#[expect(clippy::disallowed_methods, reason = "a switch of this test, no setting of the service")]
fn assert_golden(path: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).expect("the file can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{} is not what the program says; UPDATE_GOLDEN=1 rewrites it", path.display());
}

fn loaded(text: &str) -> Settings {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("settings.toml");
    fs::write(&path, text).expect("the file can be written");
    load(&Sources { file: Some(path), environment: Vec::new() }).expect("no fault")
}

/// Each setting and its value, without the origins.
fn values(settings: &Settings) -> Vec<(String, serde_json::Value)> {
    let redacted = settings.redacted();
    let entries = redacted.as_object().expect("an object");
    entries.iter().map(|(name, entry)| (name.clone(), entry["value"].clone())).collect()
}

#[test]
fn the_reference_is_what_the_program_says() {
    assert_golden("config/reference.toml", &reference());
}

#[test]
fn the_reference_as_it_is_changes_nothing() {
    assert_eq!(loaded(&reference()).redacted(), loaded("").redacted());
}

#[test]
fn each_default_of_the_reference_is_the_one_in_use() {
    let uncommented: String = reference()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(values(&loaded(&uncommented)), values(&loaded("")));
    assert!(uncommented.contains("\nlisten = \"127.0.0.1:8080\""), "{uncommented}");
}

#[test]
fn the_help_is_what_the_program_says() {
    let mut pages = Vec::new();
    let mut command = Arguments::command().bin_name("glasshouse").term_width(100);
    command.build();
    describe(&mut command, &mut pages);
    assert_golden("tests/golden/help.txt", &pages.join("\n"));
}

fn describe(command: &mut clap::Command, pages: &mut Vec<String>) {
    let help = command.render_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    pages.push(format!("$ {} -h\n{}\n", command.get_bin_name().unwrap_or_default(), help.join("\n")));
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
        describe(inner, pages);
    }
}
