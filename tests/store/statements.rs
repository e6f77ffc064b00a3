//! The summaries by which metrics, spans, log lines and injected faults identify statements.

use std::collections::BTreeMap;

use glasshouse::store::{postgres, sqlite};

/// The longest summary that OpenTelemetry allows.
const MAX_SUMMARY_CHARS: usize = 255;

#[test]
fn each_statement_has_a_summary_of_its_own() {
    for statements in [sqlite::STATEMENTS, postgres::STATEMENTS] {
        let mut names = BTreeMap::new();
        for (name, statement) in statements.all() {
            let summary = statement.summary;
            assert_eq!(names.insert(summary, name), None, "{summary} is also the summary of {name}");
            assert!(summary.len() <= MAX_SUMMARY_CHARS, "{name}: {summary}");
            let target = format!("{} {}", statement.operation, statement.collection);
            assert!(summary.starts_with(target.trim_end()), "{name}: {summary} begins with {target}");
        }
    }
}
