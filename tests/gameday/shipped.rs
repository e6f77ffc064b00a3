//! What `alerts/` ships, as far as a game day asks: which alerts there are, and who is told of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use serde_json::Value;

use crate::faults;

/// What a game day must know of a shipped alert.
pub(crate) struct Shipped {
    pub(crate) severity: String,
    /// Whether it is pending for a while before it fires.
    pub(crate) waits: bool,
}

/// Each alert by its name, read once.
pub(crate) static ALERTS: LazyLock<BTreeMap<String, Shipped>> = LazyLock::new(alerts);

fn alerts() -> BTreeMap<String, Shipped> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/rules");
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let mut found = BTreeMap::new();
    for file in files {
        let file: Value = serde_saphyr::from_str(&file).unwrap();
        let groups = file["groups"].as_array().into_iter().flatten();
        for rule in groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
            if let (Some(alert), Some(severity)) = (rule["alert"].as_str(), rule["labels"]["severity"].as_str()) {
                let shipped = Shipped { severity: severity.to_owned(), waits: rule["for"].is_string() };
                found.insert(alert.to_owned(), shipped);
            }
        }
    }
    found
}

/// Who must be told of an alert of that severity. Stated here once more, so that a route that is lost is seen.
pub(crate) fn receiver(severity: &str) -> &'static str {
    match severity {
        "page" => "pager",
        "ticket" => "tickets",
        "none" => "deadman",
        other => panic!("no receiver is known for the severity {other}"),
    }
}

/// What the faults and the shipped alerts do not agree on: an alert for which there is no fault, or a name that no alert
/// has.
pub(crate) fn disagreements() -> Vec<String> {
    let shipped = &*ALERTS;
    let named = || faults::all().flat_map(|fault| fault.alerts.iter().chain(fault.others)).copied();
    let rehearsed: BTreeSet<_> = faults::all().flat_map(|fault| fault.alerts).copied().collect();
    let missing = shipped.keys().filter(|alert| !rehearsed.contains(alert.as_str()));
    let unknown = named().filter(|name| !shipped.contains_key(*name)).collect::<BTreeSet<_>>();
    let missing = missing.map(|alert| format!("{alert}: there is no fault for it"));
    missing.chain(unknown.into_iter().map(|name| format!("{name}: there is no such alert"))).collect()
}
