//! `dashboards/.lint`: what may break a rule, and why, in the linter's own format.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

use super::{Fault, rules};
use crate::dashboards::panels::folder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    exclusions: BTreeMap<String, Excluded>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Excluded {
    reason: String,
    entries: Vec<Entry>,
}

/// Titles, and the place of a target; what is not named matches all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dashboard: String,
    panel: Option<String>,
    #[serde(rename = "targetIdx")]
    target: Option<String>,
    #[serde(skip)]
    used: bool,
}

/// The exceptions, which remember whether anything needed them.
pub(super) struct Exceptions(Vec<(String, Entry)>);

impl Exceptions {
    pub(super) fn read() -> Self {
        Self::parse(&fs::read_to_string(folder().join(".lint")).unwrap())
    }

    fn parse(file: &str) -> Self {
        let file: File = serde_saphyr::from_str(file).unwrap();
        let mut all = Vec::new();
        for (rule, Excluded { reason, entries }) in file.exclusions {
            assert!(rules().any(|known| known.name == rule), "{rule}: no such rule");
            assert!(reason.ends_with('.'), "{rule}: a reason is a sentence");
            all.extend(entries.into_iter().map(|entry| (rule.clone(), entry)));
        }
        Self(all)
    }

    /// Whether a fault is an exception.
    pub(super) fn excuse(&mut self, fault: &Fault) -> bool {
        let excuses = |rule: &str, entry: &Entry| {
            rule == fault.rule
                && entry.dashboard == fault.dashboard
                && entry.panel.as_ref().is_none_or(|panel| Some(panel) == fault.panel.as_ref())
                && entry.target.as_ref().is_none_or(|at| Some(at) == fault.target.map(|at| at.to_string()).as_ref())
        };
        let excusing = self.0.iter_mut().find(|(rule, entry)| excuses(rule, entry));
        excusing.is_some_and(|(_, entry)| {
            entry.used = true;
            true
        })
    }

    /// What excused nothing.
    pub(super) fn unused(&self) -> Vec<String> {
        let unused = self.0.iter().filter(|(_, entry)| !entry.used);
        unused.map(|(rule, entry)| format!("{rule}: {entry:?}")).collect()
    }
}

#[test]
fn an_exception_excuses_what_it_names_and_is_missed_if_it_excuses_nothing() {
    let mut exceptions = Exceptions::parse(
        "exclusions:\n  target-job-rule:\n    reason: Because.\n    entries:\n    - {dashboard: A, panel: B, targetIdx: '1'}\n",
    );
    let fault = |panel: &str, target| Fault {
        rule: "target-job-rule",
        dashboard: "A".into(),
        panel: Some(panel.into()),
        target: Some(target),
        says: String::new(),
    };
    assert!(!exceptions.excuse(&fault("B", 0)) && !exceptions.excuse(&fault("C", 1)));
    assert_eq!(exceptions.unused().len(), 1);
    assert!(exceptions.excuse(&fault("B", 1)) && exceptions.unused().is_empty());
}
