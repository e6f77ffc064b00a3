//! The environment: which variables are ours, and what they say.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::{
    CONFIG_VARIABLE,
    faults::{Fault, Faults},
    near,
    setting::{self, PREFIX, STANDARD_PREFIX},
    sources::Origin,
};

/// The variables that concern us, by name; none of them empty, which counts as not set.
pub(super) type Variables = BTreeMap<String, String>;

/// Picks our variables out of the environment, and says which of them nobody knows or can read.
pub(super) fn read(environment: &[(OsString, OsString)], faults: &mut Faults) -> Variables {
    let known: Vec<String> =
        setting::all().map(setting::Setting::variable).chain([CONFIG_VARIABLE.to_owned()]).collect();
    let mut variables = Variables::new();
    for (name, value) in environment {
        let name = name.to_string_lossy().into_owned();
        let is_known = known.contains(&name);
        if !is_known && is_from_kubernetes(&name, value) {
            continue;
        }
        if name.starts_with(PREFIX) && !is_known {
            let accepted = format!("a setting's variable, as in config/reference.toml{}", near::variable(&name));
            faults.add(Fault { setting: name.clone(), origin: Origin::Variable(name), read: None, accepted });
        } else if is_known || name.starts_with(STANDARD_PREFIX) {
            match value.to_str() {
                Some("") => {
                    variables.remove(&name);
                }
                Some(text) => {
                    variables.insert(name, text.to_owned());
                }
                None if is_known => faults.add(Fault {
                    setting: name.clone(),
                    origin: Origin::Variable(name),
                    read: None,
                    accepted: "text in UTF-8".to_owned(),
                }),
                // Its value is never looked at: being set is all that counts.
                None => {
                    variables.insert(name, String::from("…"));
                }
            }
        }
    }
    variables
}

/// Whether Kubernetes injected the variable. It describes every Service of the namespace to every pod, and the variables
/// of a Service named `glasshouse-internal` or `otel-collector` begin as ours do.
fn is_from_kubernetes(name: &str, value: &OsStr) -> bool {
    let ends_here = |rest: &str| rest.is_empty() || rest.starts_with('_');
    let has = |part: &str, is_end: &dyn Fn(&str) -> bool| {
        name.match_indices(part).any(|(at, part)| is_end(&name[at + part.len()..]))
    };
    has("_SERVICE_HOST", &str::is_empty)
        || has("_SERVICE_PORT", &ends_here)
        // `GLASSHOUSE_HTTP__PORT=8080` is a misspelt setting: what Kubernetes writes here is a URL.
        || has("_PORT", &str::is_empty) && value.to_string_lossy().contains("://")
        || has("_PORT_", &|rest| {
            let protocol = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
            protocol.len() < rest.len()
                && ["_TCP", "_UDP", "_SCTP"].iter().any(|it| protocol.strip_prefix(it).is_some_and(ends_here))
        })
}

/// Whether the environment allows colors on a terminal: <https://no-color.org>, and terminals that know no escapes.
pub(super) fn allows_color(environment: &[(OsString, OsString)]) -> bool {
    last(environment, "NO_COLOR").is_none_or(OsStr::is_empty) && last(environment, "TERM").is_none_or(|it| it != "dumb")
}

/// A warning where `RUST_LOG` is set, which other Rust programs obey.
pub(super) fn rust_log(environment: &[(OsString, OsString)]) -> Option<String> {
    last(environment, "RUST_LOG").filter(|filter| !filter.is_empty()).map(|_| {
        "RUST_LOG is set, but without effect: log.filter (GLASSHOUSE_LOG__FILTER) decides which events are logged"
            .to_owned()
    })
}

/// A variable by its name; of two with one name the last counts.
pub(super) fn last<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    environment.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
}
