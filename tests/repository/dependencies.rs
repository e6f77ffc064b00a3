//! Dependencies: each said what it is for, one crypto provider, one OpenTelemetry, and what deny.toml allows.

use std::{collections::BTreeSet, process::Command, sync::LazyLock};

use super::files;

/// A package that is compiled into the service or its tests on this machine.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    license: String,
}

/// What is really compiled. `cargo metadata` does not do: it counts what a weak feature (`dep?/feature`) names.
static ACTIVE: LazyLock<BTreeSet<Package>> = LazyLock::new(|| {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal,build,dev", "--prefix", "none"])
        .args(["--format", "{p}|{l}|"])
        .current_dir(files::root())
        .output()
        .expect("cargo runs these tests");
    assert!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("cargo writes UTF-8");
    let packages = tree.lines().filter_map(|line| {
        let mut parts = line.split('|');
        let (package, license) = (parts.next()?, parts.next()?);
        let (name, version) = package.split_once(" v")?;
        let version = version.split(' ').next()?;
        Some(Package { name: name.to_owned(), version: version.to_owned(), license: license.to_owned() })
    });
    packages.collect()
});

fn deny() -> toml::Table {
    files::read("deny.toml").parse().expect("deny.toml is TOML")
}

/// The strings of one list in deny.toml; of a table in it, its `crate`.
fn denied(section: &str, list: &str) -> Vec<String> {
    let values = deny()[section][list].as_array().expect("a list").clone();
    let text = |value: &toml::Value| value.get("crate").unwrap_or(value).as_str().map(str::to_owned);
    values.iter().filter_map(text).collect()
}

/// The dependencies of a manifest that no comment above their group explains.
fn unexplained(manifest: &str) -> Vec<&str> {
    let mut unexplained = Vec::new();
    let (mut dependencies, mut explained) = (false, false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            (dependencies, explained) = (line.contains("dependencies"), false);
        } else if line.trim().is_empty() {
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else if let Some((name, _)) = line.split_once('=').filter(|_| dependencies && !explained) {
            unexplained.push(name.trim());
        }
    }
    unexplained
}

#[test]
fn each_dependency_stands_below_what_it_is_for() {
    assert_eq!(unexplained(&files::read("Cargo.toml")), Vec::<&str>::new());
    assert_eq!(unexplained("[dependencies]\n# For a.\na = \"1\"\n\nb = \"1\"\n[package]\nc = 1"), ["b"]);
}

#[test]
fn what_deny_toml_bans_is_not_compiled() {
    let banned = denied("bans", "deny");
    for one in ["native-tls", "openssl-sys", "ring", "rsa"] {
        assert!(banned.iter().any(|name| name == one), "one crypto provider: deny.toml bans {one}");
    }
    let compiled: Vec<&Package> = ACTIVE.iter().filter(|package| banned.contains(&package.name)).collect();
    assert!(compiled.is_empty(), "{compiled:?}");
    assert!(ACTIVE.iter().any(|package| package.name == "aws-lc-rs"), "the list is of what is compiled");
}

#[test]
fn opentelemetry_is_one_group() {
    let group: Vec<&Package> = ACTIVE.iter().filter(|package| package.name.starts_with("opentelemetry")).collect();
    let minors: BTreeSet<&str> =
        group.iter().filter_map(|package| package.version.rsplit_once('.')).map(|(minor, _)| minor).collect();
    assert!(group.len() > 4 && minors.len() == 1, "one minor version apart means no spans and no error: {group:?}");
    let names: BTreeSet<&str> = group.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names.len(), group.len(), "each once: {group:?}");
}

/// Whether an SPDX expression can be satisfied with these licences.
fn allows(allowed: &[String], expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens = expression.split_whitespace().peekable();
    any(allowed, &mut tokens) && tokens.next().is_none()
}

type Tokens<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(allowed: &[String], tokens: &mut Tokens<'_>) -> bool {
    let mut fine = all(allowed, tokens);
    while tokens.next_if_eq(&"OR").is_some() {
        fine |= all(allowed, tokens);
    }
    fine
}

fn all(allowed: &[String], tokens: &mut Tokens<'_>) -> bool {
    let mut fine = one(allowed, tokens);
    while tokens.next_if_eq(&"AND").is_some() {
        fine &= one(allowed, tokens);
    }
    fine
}

fn one(allowed: &[String], tokens: &mut Tokens<'_>) -> bool {
    match tokens.next() {
        Some("(") => {
            let fine = any(allowed, tokens);
            tokens.next_if_eq(&")").is_some() && fine
        }
        Some(license) => {
            let exception = tokens.next_if_eq(&"WITH").and_then(|_| tokens.next());
            let license =
                exception.map_or_else(|| license.to_owned(), |exception| format!("{license} WITH {exception}"));
            allowed.contains(&license)
        }
        None => false,
    }
}

#[test]
fn every_licence_is_allowed_and_every_allowed_licence_is_needed() {
    let allowed = denied("licenses", "allow");
    let refused: Vec<&Package> = ACTIVE.iter().filter(|package| !allows(&allowed, &package.license)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    for license in &allowed {
        let without: Vec<String> = allowed.iter().filter(|other| *other != license).cloned().collect();
        assert!(ACTIVE.iter().any(|package| !allows(&without, &package.license)), "nothing needs {license}");
    }
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned(), "A WITH B".to_owned()];
    for fine in ["MIT", "X OR MIT", "X/MIT", "MIT AND (X OR ISC)", "A WITH B AND MIT"] {
        assert!(allows(&allowed, fine), "{fine}");
    }
    for refused in ["", "X", "MIT AND X", "(MIT OR X) AND X", "A", "MIT MIT", "MIT WITH B", "(MIT"] {
        assert!(!allows(&allowed, refused), "{refused}");
    }
}

#[test]
fn everything_comes_from_the_registry() {
    assert_eq!(denied("sources", "allow-registry"), ["https://github.com/rust-lang/crates.io-index"]);
    let lock = files::read("Cargo.lock");
    let foreign = lock.lines().filter(|line| line.starts_with("source = "));
    let foreign: Vec<&str> = foreign.filter(|line| !line.contains("registry+https://github.com/rust-lang/")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
