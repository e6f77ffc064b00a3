//! What is shown: never a secret, always whole, whatever was written.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use proptest::prelude::*;

use super::{
    super::{Faults, Settings, Sources, load, setting},
    with,
};

#[test]
fn no_secret_is_shown_in_effect_or_in_faults() {
    let secrets = [
        ("DATABASE_URL", "postgres://hush:hush@db/users?password=hush"),
        ("GLASSHOUSE_INTERNAL__TOKEN", "hushhushhushhush"),
        ("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", "hushhushhushhush"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://hush:hush@c/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=hush"),
    ];
    let settings = with(&secrets).settings();
    let parts = format!("{:?} {:?} {:?} {:?}", settings.store, settings.telemetry, settings.auth, settings.internal);
    for shown in [settings.print(), settings.redacted().to_string(), format!("{settings:?}"), parts] {
        assert!(!shown.contains("hush"), "{shown}");
    }
    assert!(
        settings.print().contains("url = \"postgres://…@db/users?password=…\"  # DATABASE_URL"),
        "{}",
        settings.print()
    );

    for (name, value) in [
        ("DATABASE_URL", "mysql://hush:hush@db/users"),
        ("DATABASE_URL", "postgres//hush"),
        ("GLASSHOUSE_INTERNAL__TOKEN", "hush"),
        ("GLASSHOUSE_AUTH__SIGNING_KEY", "hush"),
        ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", "-----BEGIN PRIVATE KEY-----\nhush"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hush"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "hush:hush@c:4317"),
    ] {
        let said = with(&[(name, value)]).load().expect_err(name).to_string();
        assert!(!said.contains("hush"), "{said}");
    }
    let said = with(&[]).file("[store]\nurl = [\"postgres://hush@db\"]\n[internal]\ntoken = \"hush\"").load();
    assert!(!said.expect_err("two faults").to_string().contains("hush"));
}

#[test]
fn what_is_printed_is_toml() {
    let printed = with(&[("OTEL_RESOURCE_ATTRIBUTES", "a=\"b\"")]).settings().print();
    let table: toml::Table = printed.parse().unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(table["http"]["listen"].as_str(), Some("127.0.0.1:8080"));
}

/// Whether the outcome can be shown: settings as TOML that can be read again, or faults, each on its line.
fn is_shown(outcome: &Result<Settings, Faults>) -> bool {
    match outcome {
        Ok(settings) => settings.print().parse::<toml::Table>().is_ok() && settings.redacted().is_object(),
        Err(faults) => faults.to_string().lines().count() == faults.as_ref().len() + 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_octets_in_any_variable_panic(values in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(1u8.., 0..40)), 1..8)) {
        let names: Vec<_> = setting::all().map(setting::Setting::variable).collect();
        let environment = values.into_iter().map(|(index, octets)| (index.get(&names).into(), OsString::from_vec(octets))).collect();
        let outcome = load(&Sources { file: None, environment });
        prop_assert!(is_shown(&outcome));
    }

    #[test]
    fn no_text_in_any_variable_panics(values in prop::collection::vec((any::<prop::sample::Index>(), "[-0-9a-zäé%,=:/@?.\\[\\]{}\" ]{0,30}"), 1..8)) {
        let names: Vec<_> = setting::all().map(setting::Setting::variable).collect();
        let environment = values.into_iter().map(|(index, text)| (index.get(&names).into(), text.into())).collect();
        let outcome = load(&Sources { file: None, environment });
        prop_assert!(is_shown(&outcome));
    }

    #[test]
    fn no_file_panics(text in "(\\[{0,2}(http|store|log|ä)?\\]{0,2}\n?(listen|url|queue|\"\\\\u00e4\"|é)( ?= ?(1|-1|1e9|\"a\"|\"\"\"\n\"\"\"|\\[1, \"ä\"\\]|\\{a.b = 1\\}|1979-05-27|\\.))?\n){0,6}|\\PC{0,60}") {
        let given = with(&[]).file(&text);
        prop_assert!(is_shown(&given.load()));
    }
}
