//! What `alerts/` ships, as far as a game day asks: which alerts there are, and who is told of each.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

/// Each alert's name with its severity.
pub(crate) fn severities() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/rules");
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let mut found = BTreeMap::new();
    for file in files {
        let file: Value = serde_saphyr::from_str(&file).unwrap();
        let groups = file["groups"].as_array().into_iter().flatten();
        for rule in groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
            if let (Some(alert), Some(severity)) = (rule["alert"].as_str(), rule["labels"]["severity"].as_str()) {
                found.insert(alert.to_owned(), severity.to_owned());
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
