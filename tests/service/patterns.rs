//! The patterns of the OpenAPI document: linear engines accept them, and they say what the service accepts.

use std::collections::BTreeSet;

use glasshouse::{
    domain::users::{Email, Name},
    http::openapi,
};
use proptest::prelude::*;
use regex::Regex;
use serde_json::Value;

fn document() -> Value {
    serde_json::to_value(openapi::document()).expect("it can be written")
}

/// Adds every pattern below a value, in place and behind references.
fn patterns(document: &Value, value: &Value, seen: &mut BTreeSet<String>, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(pattern)) = members.get("pattern") {
                found.insert(pattern.clone());
            }
            if let Some(Value::String(reference)) = members.get("$ref")
                && seen.insert(reference.clone())
            {
                let target = document.pointer(&reference[1..]).expect("it points into the document");
                patterns(document, target, seen, found);
            }
            members.values().for_each(|member| patterns(document, member, seen, found));
        }
        Value::Array(items) => items.iter().for_each(|item| patterns(document, item, seen, found)),
        _ => {}
    }
}

fn patterns_in(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    patterns(&document(), value, &mut BTreeSet::new(), &mut found);
    found
}

fn pattern_of(property: &str) -> Regex {
    let document = document();
    let pattern = &document["components"]["schemas"]["Registration"]["properties"][property]["pattern"];
    Regex::new(pattern.as_str().expect("it has a pattern")).expect("it is a pattern")
}

/// JSON Schema Core, section 6.4: what every dialect of regular expressions reads in the same way.
#[test]
fn every_pattern_compiles_without_look_around_and_escapes_that_go_does_not_know() {
    let found = patterns_in(&document());
    assert!(found.len() > 5, "{found:#?}");
    for pattern in found {
        Regex::new(&pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for token in ["(?", "\\u", "\\p", "\\d", "\\w", "\\s", "\\b"] {
            assert!(!pattern.contains(token), "{token} in {pattern}");
        }
        assert!(pattern.starts_with('^') && pattern.ends_with('$'), "{pattern} is not anchored");
        assert!(!pattern.contains(char::is_control), "{pattern:?} holds control characters");
    }
}

/// A client that validates answers would otherwise refuse what was accepted under older rules.
#[test]
fn answers_have_no_patterns() {
    let document = document();
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in item.as_object().expect("a path has methods") {
            let found = patterns_in(&operation["responses"]);
            assert!(found.is_empty(), "{method} {path}: {found:#?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Without the characters from U+E0000 on: that they are refused stands in the description.
    #[test]
    fn name_pattern_matches_what_the_service_accepts(
        name in "[Ab \\x00-\\x20\\x7f\\u{a0}é❤\\u{200b}-\\u{200f}\\u{2027}\\u{2028}\\u{fe0d}-\\u{fe10}\\u{e000}🔥]{1,6}\
                 |[\\x00-\\u{dffff}]{1,6}",
    ) {
        prop_assert_eq!(NAME.with(|pattern| pattern.is_match(&name)), Name::parse(&name).is_ok(), "{:?}", name);
    }

    #[test]
    fn email_pattern_matches_what_the_service_accepts(
        email in "[a-bA1._+-]{1,4}@([ax1-]{1,5}\\.){0,3}[az1-]{1,5}|a{62,66}@b.co|a@[b-]{61,65}\\.co|a@b\\.[c-]{61,65}|\\PC{0,5}@a.\\PC{0,5}",
    ) {
        prop_assert_eq!(EMAIL.with(|pattern| pattern.is_match(&email)), Email::parse(&email).is_ok(), "{:?}", email);
    }
}

thread_local! {
    static NAME: Regex = pattern_of("name");
    static EMAIL: Regex = pattern_of("email");
}
