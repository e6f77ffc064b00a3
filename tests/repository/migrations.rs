//! Migrations: both engines have the same ones, and each has its way back.

use std::collections::{BTreeMap, BTreeSet};

use super::files;

/// The migrations of one engine: number and name, with the directions that exist.
fn migrations(engine: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files::below(&[&format!("migrations/{engine}/")], "") {
        let name = file.rsplit('/').next().unwrap_or_default();
        let (migration, direction) = name.split_once('.').unwrap_or((name, ""));
        assert!(matches!(direction, "up.sql" | "down.sql"), "{file}: neither .up.sql nor .down.sql");
        assert!(!files::read(&file).trim().is_empty(), "{file} is empty");
        found.entry(migration.to_owned()).or_default().insert(direction.to_owned());
    }
    found
}

#[test]
fn both_engines_have_the_same_migrations() {
    assert_eq!(migrations("sqlite"), migrations("postgres"));
}

#[test]
fn every_migration_has_a_way_back() {
    for engine in ["sqlite", "postgres"] {
        for (migration, directions) in migrations(engine) {
            assert_eq!(directions.len(), 2, "{engine}: {migration} has only {directions:?}");
        }
    }
}

#[test]
fn migrations_are_numbered_without_gaps() {
    for (expected, migration) in (1..).zip(migrations("sqlite").keys()) {
        let (number, name) = migration.split_once('_').unwrap_or((migration, ""));
        assert_eq!(number, format!("{expected:04}"), "{migration}");
        assert!(!name.is_empty(), "{migration} has no name");
    }
}
