//! Documents keep their word: links lead somewhere, commands exist, files and tests that they name are there.

use std::{collections::BTreeSet, process::Command};

use glasshouse::telemetry::catalog;

use super::files;

/// Programs that a document may call without further proof.
const PROGRAMS: &[&str] = &[
    "(umask",
    "amtool",
    "cd",
    "cp",
    "createdb",
    "curl",
    "docker",
    "echo",
    "export",
    "git",
    "go",
    "jq",
    "k6",
    "kill",
    "mkdir",
    "mv",
    "openssl",
    "pg_dump",
    "pg_restore",
    "promtool",
    "psql",
    "sed",
    "sqlite3",
    "tokio-console",
    "unset",
    "wait",
];

/// Folders in which a path between backquotes is a file and not an example.
const FOLDERS: &[&str] = &[
    "alerts/",
    "api/",
    "benches/",
    "config/",
    "dashboards/",
    "deploy/",
    "loadtest/",
    "migrations/",
    "runbook/",
    "scripts/",
    "src/",
    "tests/",
    ".ci/",
];

fn documents() -> Vec<String> {
    files::below(&[""], ".md")
}

fn assert_none(faults: Vec<String>) {
    let faults: BTreeSet<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
}

/// A document in its parts.
#[derive(Default)]
struct Document {
    /// Lines of prose, without what stands between backquotes.
    prose: Vec<String>,
    /// What stands between backquotes.
    spans: Vec<String>,
    /// Lines in blocks of shell commands, continued lines joined.
    commands: Vec<String>,
}

fn parse(text: &str) -> Document {
    let mut document = Document::default();
    let mut fence: Option<bool> = None;
    let mut continued = false;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(matches!(language.trim(), "sh" | "console")) };
            continued = false;
        } else if fence == Some(true) {
            let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
            match document.commands.last_mut().filter(|_| continued) {
                Some(command) => command.push_str(line),
                None => document.commands.push(line.to_owned()),
            }
            continued = goes_on;
        } else if fence.is_none() {
            let (prose, spans): (Vec<_>, Vec<_>) = line.split('`').enumerate().partition(|(at, _)| at % 2 == 0);
            document.prose.push(prose.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join("`"));
            document.spans.extend(spans.into_iter().map(|(_, span)| span.to_owned()));
        }
    }
    document.commands.retain(|command| !command.trim().is_empty() && !command.trim_start().starts_with('#'));
    document
}

/// Where the links of a document lead.
fn links(document: &Document) -> Vec<&str> {
    let parts = document.prose.iter().flat_map(|line| line.split("](").skip(1));
    parts.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// The anchors of a document's headings, made as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| -> String {
        let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    for document in documents() {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in links(&parse(&files::read(&document))) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { document.clone() } else { format!("{folder}/{file}") };
            let target = files::root().join(target.trim_start_matches('/'));
            if !target.exists() {
                faults.push(format!("{document}: {link} leads nowhere"));
            } else if !anchor.is_empty() && !anchors(&files::read(target)).iter().any(|known| known == anchor) {
                faults.push(format!("{document}: {link}: no such heading"));
            }
        }
    }
    assert_none(faults);
    let planted = parse("See [a](b.md#c) and `[d](e)`.\n```sh\n[f](g)\n```\n");
    assert_eq!(links(&planted), ["b.md#c"]);
    assert_eq!(anchors("# One: *two*\n## `A_b`, c-d"), ["one-two", "a_b-c-d"]);
}

/// The names that the Makefile knows.
fn targets() -> BTreeSet<String> {
    let makefile = files::read("Makefile");
    let rules =
        makefile.lines().filter(|line| !line.starts_with(['\t', '.', '#'])).filter_map(|line| line.split_once(':'));
    let rules = rules.filter(|(name, rest)| !rest.starts_with('=') && !name.contains(['=', ' ', '$']));
    rules.map(|(name, _)| name.to_owned()).collect()
}

/// The names that a document calls `make` with, between backquotes or in a block of commands.
fn made(text: &str) -> BTreeSet<String> {
    let document = parse(text);
    let words = document.spans.iter().chain(&document.commands).map(|code| code.split_whitespace().collect::<Vec<_>>());
    let named = words.flat_map(|words| {
        let pairs = words.windows(2).filter(|pair| pair[0] == "make").map(|pair| pair[1].to_owned());
        pairs.collect::<Vec<_>>()
    });
    named.collect()
}

#[test]
fn documents_and_makefile_know_the_same_names() {
    let targets = targets();
    assert!((1..=13).contains(&targets.len()), "thirteen names at most: {targets:?}");
    let mut named = BTreeSet::new();
    for document in documents() {
        let here = made(&files::read(&document));
        let unknown: Vec<&String> = here.difference(&targets).collect();
        assert!(unknown.is_empty(), "{document}: the Makefile has no {unknown:?}");
        named.extend(here);
    }
    assert_eq!(named, targets, "each name of the Makefile is told in a document");
    let found: Vec<String> = made("Then `make a`, make up and\n```sh\nx && make b N=1\n```\n").into_iter().collect();
    assert_eq!(found, ["a", "b"]);
}

/// The subcommands of the executable, as it tells them itself.
fn subcommands() -> BTreeSet<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_glasshouse")).arg("--help").output().expect("the executable was built");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    listed.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// What is wrong with one line of a block of commands.
fn fault(command: &str, targets: &BTreeSet<String>, subcommands: &BTreeSet<String>) -> Option<String> {
    let command = command.trim().trim_start_matches("$ ");
    let is_setting = |word: &&str| {
        word.split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
    };
    let words: Vec<&str> = command.split_whitespace().skip_while(is_setting).collect();
    let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied();
    let known = |name: Option<&str>| name.is_none_or(|name| name.starts_with('-') || subcommands.contains(name));
    match *words.first()? {
        "make" if words.get(1).is_none_or(|name| targets.contains(*name)) => None,
        "cargo" => {
            let test = after("--test").map(|name| format!("tests/{name}/main.rs"));
            let bench = after("--bench").map(|name| format!("benches/{name}.rs"));
            let missing = test.into_iter().chain(bench).find(|file| !files::root().join(file).exists());
            match missing {
                Some(file) => Some(format!("{command}: {file} is missing")),
                None if words.get(1) == Some(&"run") && !known(after("--")) => {
                    Some(format!("{command}: no such subcommand"))
                }
                None => None,
            }
        }
        name if name.ends_with(env!("CARGO_PKG_NAME")) && known(words.get(1).copied()) => None,
        name if PROGRAMS.contains(&name) => None,
        name if name.contains('/') && files::root().join(name).is_file() => None,
        _ => Some(format!("{command}: nobody knows whether this exists")),
    }
}

#[test]
fn every_command_in_a_document_exists() {
    let (targets, subcommands) = (targets(), subcommands());
    assert!(subcommands.contains("migrate"), "the executable tells its subcommands: {subcommands:?}");
    let mut faults = Vec::new();
    for document in documents() {
        for command in parse(&files::read(&document)).commands {
            faults.extend(fault(&command, &targets, &subcommands).map(|fault| format!("{document}: {fault}")));
        }
    }
    assert_none(faults);
    for planted in ["make nothing", "cargo test --test nothing", "cargo run -- nothing", "nothing", "scripts/nothing"] {
        assert!(fault(planted, &targets, &subcommands).is_some(), "{planted}");
    }
}

/// The paths that a document asks of one port.
fn asked(text: &str, port: &str) -> Vec<String> {
    let document = parse(text);
    let code = document.spans.iter().chain(&document.commands);
    let hosts = ["localhost:", "127.0.0.1:"].map(|host| format!("{host}{port}/"));
    let mut asked = Vec::new();
    for (code, host) in code.flat_map(|code| hosts.iter().map(move |host| (code, host))) {
        for (at, _) in code.match_indices(host.as_str()) {
            let rest = &code[at + host.len() - 1..];
            let end = rest.find([' ', '"', '\'', '?', '#', ')']).unwrap_or(rest.len());
            asked.push(rest[..end].to_owned());
        }
    }
    asked
}

/// Whether a path fits a template such as `/api/v1/users/{id}`.
fn fits(path: &str, template: &str) -> bool {
    let (path, template): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    path.len() == template.len()
        && path.iter().zip(template).all(|(a, b)| *a == b || b.starts_with('{') && !a.is_empty())
}

#[test]
fn every_path_that_a_document_asks_for_is_served() {
    let openapi: serde_json::Value = serde_json::from_str(&files::read("api/openapi.json")).expect("it is JSON");
    let mut public: Vec<String> = openapi["paths"].as_object().expect("it has paths").keys().cloned().collect();
    public.extend(["/health/live", "/health/ready"].map(str::to_owned));
    let mut faults = Vec::new();
    for document in documents() {
        let text = files::read(&document);
        let unknown = asked(&text, "8080").into_iter().filter(|path| !public.iter().any(|known| fits(path, known)));
        faults.extend(unknown.map(|path| format!("{document}: the public port has no {path}")));
        let internal = |path: &String| catalog::PATHS.iter().any(|known| fits(path, known.name));
        let unknown = asked(&text, "6060").into_iter().filter(|path| !internal(path));
        faults.extend(unknown.map(|path| format!("{document}: the internal port has no {path}")));
    }
    assert_none(faults);
    assert_eq!(asked("```sh\ncurl -s localhost:8080/a/b?c 'http://localhost:8080/d'\n```", "8080"), ["/a/b", "/d"]);
    assert!(fits("/users/7", "/users/{id}") && !fits("/users/", "/users/{id}") && !fits("/users/7/8", "/users/{id}"));
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let mut faults = Vec::new();
    for document in documents() {
        for span in parse(&files::read(&document)).spans {
            let is_path = FOLDERS.iter().any(|folder| span.starts_with(folder));
            let is_example = span.contains(['*', ' ', '{', '…', '<']) || span.contains("NNNN");
            if is_path && !is_example && !files::root().join(&span).exists() {
                faults.push(format!("{document}: {span} is not there"));
            }
        }
    }
    assert_none(faults);
}

#[test]
fn every_test_that_the_readme_names_is_there() {
    let sources: Vec<String> = files::below(&["src/", "tests/"], ".rs").into_iter().map(files::read).collect();
    let readme = files::read("README.md");
    let rows = readme.lines().filter(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n");
    let is_sentence = |span: &String| {
        span.matches('_').count() > 1
            && span.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
    };
    let is_test = |name: &str| sources.iter().any(|source| source.contains(&format!("fn {name}(")));
    let faults = parse(&rows).spans.into_iter().filter(is_sentence).filter(|name| !is_test(name));
    assert_none(faults.map(|name| format!("README.md: no test is called {name}")).collect());
}
