//! The environment: which variables are ours, and what they say.

use std::{collections::BTreeMap, ffi::OsString};

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
        if name.starts_with(PREFIX) && !is_known && !is_of_kubernetes(&name) {
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

/// Kubernetes tells every pod about every Service; for one named glasshouse, in variables that look like ours.
fn is_of_kubernetes(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_"))
}
