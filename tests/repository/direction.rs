//! The law of ARCHITECTURE.md: which module may name which, and which crates only one of them knows.

use std::collections::BTreeSet;

use super::{
    files,
    paths::{Path, paths},
};

/// One module at the top of `src/`.
struct Module {
    name: &'static str,
    /// The modules it may name beside itself.
    may_use: &'static [&'static str],
}

/// From the leaves up. `main` is what `src/main.rs` and `src/lib.rs` are.
const MODULES: &[Module] = &[
    Module { name: "telemetry", may_use: &[] },
    Module { name: "lifecycle", may_use: &["telemetry"] },
    Module { name: "resilience", may_use: &["telemetry"] },
    Module { name: "connection", may_use: &[] },
    Module { name: "faults", may_use: &["telemetry"] },
    Module { name: "domain", may_use: &["telemetry"] },
    Module { name: "store", may_use: &["domain", "faults", "resilience", "telemetry"] },
    Module { name: "http", may_use: &["connection", "domain", "faults", "lifecycle", "resilience", "telemetry"] },
    Module { name: "worker", may_use: &["domain", "lifecycle", "resilience", "telemetry"] },
    Module { name: "internal", may_use: &["connection", "faults", "lifecycle", "telemetry"] },
    Module {
        name: "config",
        may_use: &["domain", "faults", "http", "internal", "lifecycle", "resilience", "store", "telemetry"],
    },
    Module {
        name: "app",
        may_use: &[
            "config",
            "connection",
            "domain",
            "faults",
            "http",
            "internal",
            "lifecycle",
            "resilience",
            "store",
            "telemetry",
            "worker",
        ],
    },
];

/// What only these modules may name: crates, or parts of `std`. A `*` at the end stands for any ending.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("console_subscriber", &["telemetry"]),
    ("gimli", &["telemetry"]),
    ("memmap2", &["telemetry"]),
    ("object", &["telemetry"]),
    ("opentelemetry*", &["telemetry"]),
    ("prometheus", &["telemetry"]),
    ("rustc_demangle", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("tonic", &["telemetry"]),
    ("argon2", &["domain"]),
    ("aws_lc_rs", &["domain"]),
    ("jsonwebtoken", &["domain"]),
    ("quick_cache", &["domain"]),
    ("sqlx", &["store"]),
    ("axum", &["http", "internal"]),
    ("tower", &["http", "internal"]),
    ("hyper", &["http", "internal"]),
    ("framehop", &["internal"]),
    ("libc", &["internal"]),
    ("pprof", &["internal"]),
    ("socket2", &["connection"]),
    ("std::env", &["config"]),
    ("anyhow", &["app", "config", "main"]),
    ("reqwest", &["app", "telemetry"]),
];

/// What a module may name although the table says no.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        module: "http",
        path: "aws_lc_rs::constant_time",
        reason: "the token that forces a trace is compared in constant time",
    },
    Exception {
        module: "internal",
        path: "reqwest",
        reason: "its tests talk to a real socket, which needs a real client",
    },
    Exception { module: "http", path: "reqwest", reason: "its tests talk to a real socket, which needs a real client" },
    Exception {
        module: "internal",
        path: "aws_lc_rs::constant_time",
        reason: "the token of this port is compared in constant time",
    },
];

struct Exception {
    module: &'static str,
    /// A path, and with it everything below it.
    path: &'static str,
    reason: &'static str,
}

/// What of this file breaks the law, a line each.
fn breaches(file: &str, source: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs").trim_end_matches("/mod");
    let place: Vec<&str> = if matches!(inside, "lib" | "main") { Vec::new() } else { inside.split('/').collect() };
    let module = place.first().copied().unwrap_or("main");
    let Some(may_use) = may_use(module) else {
        return vec![format!("{file}: `{module}` is not in the table of modules")];
    };
    let mut breaches = Vec::new();
    for path in paths(source) {
        if let Some(target) = of_ours(&path, &place).filter(|target| *target != module && !may_use.contains(target)) {
            breaches.push(format!("{file}:{}: `{module}` may not name `{target}`", path.line));
        }
        let written = path.parts.join("::");
        for (only, modules) in ONLY_IN {
            if names(&written, only) && !modules.contains(&module) && !excepted(module, &written) {
                breaches.push(format!("{file}:{}: `{module}` may not name `{written}`, only {modules:?}", path.line));
            }
        }
    }
    breaches
}

fn may_use(module: &str) -> Option<Vec<&'static str>> {
    if module == "main" {
        return Some(MODULES.iter().map(|module| module.name).collect());
    }
    MODULES.iter().find(|known| known.name == module).map(|known| known.may_use.to_vec())
}

/// The module at the top of `src/` that a path leads to, if it leads there: from the root by its name, or upwards.
fn of_ours<'a>(path: &'a Path, place: &[&str]) -> Option<&'a str> {
    let mut parts = path.parts.iter().map(String::as_str).peekable();
    match parts.next()? {
        "crate" | env!("CARGO_PKG_NAME") => {}
        "self" | "super" => {
            let up = path.parts.iter().filter(|part| *part == "super").count();
            while parts.next_if(|part| *part == "super").is_some() {}
            if up < place.len() {
                return None;
            }
        }
        _ => return None,
    }
    parts.next().filter(|name| name.starts_with(char::is_lowercase)).filter(|name| may_use(name).is_some())
}

/// Whether a written path is this one or below it.
fn names(written: &str, rule: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(start) => written.starts_with(start),
        None => written.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")),
    }
}

fn excepted(module: &str, written: &str) -> bool {
    EXCEPTIONS.iter().any(|exception| exception.module == module && names(written, exception.path))
}

#[test]
fn every_module_names_only_what_it_may() {
    let sources = files::below(&["src/"], ".rs");
    let breaches: Vec<String> = sources.iter().flat_map(|file| breaches(file, &files::read(file))).collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn a_planted_breach_is_found() {
    let planted = [
        ("src/domain/users/mod.rs", "use crate::{store::Database, telemetry::Metrics};"),
        ("src/telemetry/logs.rs", "fn f() { crate::domain::Clock::system(); }"),
        ("src/http/mod.rs", "use super::store::Database;"),
        ("src/http/users/read.rs", "use super::super::super::{internal, Fine};"),
        ("src/store/row.rs", "use crate::http;"),
        ("src/lifecycle/mod.rs", "use crate::app::App;"),
        ("src/domain/clock.rs", "#[derive(sqlx::FromRow)] struct Row;"),
        ("src/domain/kind.rs", "use axum as web;"),
        ("src/domain/kind.rs", "use tower;"),
        ("src/http/metrics.rs", "use prometheus::Registry;"),
        ("src/http/layers/observe.rs", "use opentelemetry::trace::Tracer;"),
        ("src/store/mod.rs", "fn f() -> anyhow::Result<()> { Ok(()) }"),
        ("src/app/mod.rs", "use std::{env, fs};"),
        ("src/main.rs", "fn main() { std::env::args(); }"),
        ("src/widgets/mod.rs", "use std::fmt;"),
    ];
    for (file, source) in planted {
        assert_eq!(breaches(file, source).len(), 1, "{file}: {source}: {:?}", breaches(file, source));
    }
}

#[test]
fn what_is_allowed_or_not_code_is_no_breach() {
    let fine = [
        ("src/domain/users/mod.rs", "use super::super::Clock; use crate::{domain::auth, telemetry::Metrics};"),
        ("src/store/mod.rs", "// crate::http\nconst A: &str = \"crate::http::X\";"),
        ("src/store/sqlite/mod.rs", "mod tests { use super::*; use super::super::row::Row; }"),
        ("src/http/mod.rs", "use crate::domain::users; fn f(sqlx: u8) -> u8 { sqlx }"),
        ("src/app/mod.rs", "use crate::{config, http, internal, store}; use anyhow::Context;"),
        ("src/main.rs", "use std::process::ExitCode; use anyhow::Result;"),
    ];
    for (file, source) in fine {
        assert_eq!(breaches(file, source), Vec::<String>::new(), "{file}: {source}");
    }
}

#[test]
fn the_table_names_the_modules_that_exist() {
    let exist: BTreeSet<String> = files::below(&["src/"], ".rs")
        .iter()
        .filter_map(|file| file.strip_prefix("src/")?.split_once('/').map(|(module, _)| module.to_owned()))
        .collect();
    let named: BTreeSet<String> = MODULES.iter().map(|module| module.name.to_owned()).collect();
    assert_eq!(named, exist);
}

#[test]
fn the_table_has_no_way_round() {
    for (at, module) in MODULES.iter().enumerate() {
        for used in module.may_use {
            assert!(MODULES[..at].iter().any(|known| known.name == *used), "`{used}` stands above `{}`", module.name);
        }
    }
}

#[test]
fn every_exception_is_needed_and_explained() {
    let sources: Vec<(String, String)> =
        files::below(&["src/"], ".rs").into_iter().map(|file| (file.clone(), files::read(file))).collect();
    for exception in EXCEPTIONS {
        let folder = format!("src/{}/", exception.module);
        let used = sources
            .iter()
            .filter(|(file, _)| file.starts_with(&folder))
            .any(|(_, source)| paths(source).iter().any(|path| names(&path.parts.join("::"), exception.path)));
        assert!(used, "nothing in {folder} names `{}` any more: remove the exception", exception.path);
        assert!(exception.reason.split(' ').count() > 4, "`{}` needs a reason", exception.path);
    }
}

#[test]
fn architecture_shows_the_same_table() {
    let document = files::read("ARCHITECTURE.md");
    let list = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    for module in MODULES {
        let only: Vec<&str> =
            ONLY_IN.iter().filter(|(_, modules)| modules.contains(&module.name)).map(|(only, _)| *only).collect();
        let may_use = if module.may_use.is_empty() { "nothing of ours".to_owned() } else { list(module.may_use) };
        let row = format!("| `{}` | {may_use} | {} |", module.name, list(&only)).replace("  ", " ");
        assert!(document.contains(&row), "ARCHITECTURE.md lacks this row:\n{row}");
    }
    for exception in EXCEPTIONS {
        let row = format!("| `{}` | `{}` | {} |", exception.module, exception.path, exception.reason);
        assert!(document.contains(&row), "ARCHITECTURE.md lacks this exception:\n{row}");
    }
}
