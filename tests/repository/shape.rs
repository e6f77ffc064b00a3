//! How files look: short, introduced by a sentence, named after what they are, and free of what rots.

use super::files::{self, Keep, without_comments};

/// No file of Rust is longer than this many lines.
const LONGEST: usize = 400;

/// What a file, a folder or the end of a type's name never says: it names a kind of code and not a thing.
const EMPTY_NAMES: &[&str] = &[
    "common", "handler", "handlers", "helper", "helpers", "impl", "manager", "misc", "models", "service", "types",
    "util", "utils",
];

/// Where a test may sleep, and why nothing else does.
const SLEEPS: &[(&str, &str)] = &[
    ("tests/process/idle.rs", "what is measured is a process that is asked nothing for seconds"),
    ("tests/process/memory.rs", "samples the memory of another process, retries tools that have no turn"),
    ("benches/overload/load.rs", "whether it is well again is asked every few milliseconds, until it is"),
    ("benches/overload/main.rs", "memory is looked at in the middle of the load"),
    (
        "benches/peers/cost.rs",
        "spans that are exported after the load belong to its requests, so there is time for that",
    ),
    ("benches/peers/rest.rs", "what is measured is a program that nothing is asked of for seconds"),
    ("benches/peers/server.rs", "a process does not announce that it is ready: the benchmark connects until it can"),
    ("benches/seen/load.rs", "what was exported late belongs to the slice before, so each slice is given a moment"),
    ("benches/seen/server.rs", "a process tells nobody that it is ready: it is asked until it says so"),
    ("tests/chaos/moments.rs", "faults last for a while and come at any moment, and clients pause between requests"),
    ("tests/process/program.rs", "a process tells nobody what it is about to do: it is asked until it has done it"),
    ("tests/service/support/leaks.rs", "tasks tell nobody that they have ended, and who waits here cannot await"),
    ("tests/service/support/mod.rs", "what nobody announces is looked for until it is there, in this one place"),
    (
        "tests/support/stack/mod.rs",
        "Prometheus tells nobody what it has found: it is asked until it has, in this one place",
    ),
    ("tests/support/pgbouncer.rs", "a pooler tells nobody that it is ready: it is asked until it answers"),
    ("tests/support/postgres.rs", "a server tells nobody that it is ready: its notes are read until they say so"),
];

/// Where a test may name a port, and why it cannot be taken.
const PORTS: &[(&str, &str)] = &[
    (
        "tests/gameday/standing.rs",
        "a stack for people stands where pages say, and nothing is started if a port is taken",
    ),
    ("tests/config/main.rs", "the reference shows the default port, and nothing is bound"),
    ("tests/operate/alerts/complete.rs", "the links of alerts name the default ports, and nothing is bound"),
    (
        "tests/operate/compose/links.rs",
        "alerts name the port of the links, which is replaced by that of the test's nginx",
    ),
    ("tests/operate/runbook/guides.rs", "a request as the guide writes it; the port is replaced by the test's service"),
    ("tests/operate/dashboards/links.rs", "dashboards lead to the default ports, and nothing is bound"),
    ("tests/process/settings.rs", "the collector's usual port stands in a setting that is only printed"),
    ("tests/support/stack/haproxy.rs", "addresses are replaced in a text, and nothing is bound"),
    ("tests/support/page.rs", "the runbook shows the default ports, which are replaced by those of the test's service"),
];

fn rust() -> Vec<String> {
    files::below(&["src/", "tests/", "benches/"], ".rs")
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let lines = |file: &str| files::read(file).lines().count();
    let faults = rust().into_iter().map(|file| (lines(&file), file)).filter(|(lines, _)| *lines > LONGEST);
    assert_none(&faults.map(|(lines, file)| format!("{file}: {lines} lines")).collect::<Vec<_>>());
}

/// Whether a source begins with one sentence that says what it is for.
fn begins_with_a_sentence(source: &str) -> bool {
    let lines = source.lines().map_while(|line| line.strip_prefix("//! "));
    lines.collect::<Vec<_>>().join(" ").contains(['.', '?'])
}

#[test]
fn each_file_begins_with_a_sentence() {
    let faults = rust().into_iter().filter(|file| !begins_with_a_sentence(&files::read(file)));
    assert_none(&faults.map(|file| format!("{file}: no `//!` sentence at its top")).collect::<Vec<_>>());
    assert!(begins_with_a_sentence("//! What it is for,\n//! on two lines.\n"));
    assert!(!begins_with_a_sentence("//! Words\n\n//! and more.") && !begins_with_a_sentence("use std::fmt;"));
}

#[test]
fn each_folder_is_complete_in_itself() {
    let files = files::below(&["src/"], ".rs");
    let folders = files.iter().filter_map(|file| file.rsplit_once('/')).map(|(folder, _)| folder);
    let faults = folders.filter(|folder| *folder != "src" && !files.contains(&format!("{folder}/mod.rs")));
    assert_none(&faults.map(|folder| format!("{folder}/mod.rs is missing")).collect::<Vec<_>>());
}

/// The empty names in a path.
fn empty_names(file: &str) -> Vec<&str> {
    file.trim_end_matches(".rs").split(['/', '_', '-']).filter(|word| EMPTY_NAMES.contains(word)).collect()
}

/// The types declared here whose names end in their role.
fn suffixed_types(source: &str) -> Vec<String> {
    let code = without_comments(source, Keep::Code);
    let words: Vec<&str> = code.split(|char: char| !char.is_alphanumeric() && char != '_').collect();
    let declared = words.windows(2).filter(|pair| matches!(pair[0], "struct" | "enum" | "trait")).map(|pair| pair[1]);
    let empty = |name: &str| {
        let last = name.rfind(char::is_uppercase).map_or("", |at| &name[at..]);
        last != name && EMPTY_NAMES.contains(&last.to_lowercase().as_str())
    };
    declared.filter(|name| empty(name)).map(str::to_owned).collect()
}

#[test]
fn names_say_what_a_thing_is() {
    let files = files::below(&["src/"], ".rs");
    let files_named = files.iter().filter(|file| !empty_names(file).is_empty()).map(|file| format!("{file}: its name"));
    let types = files.iter().flat_map(|file| {
        suffixed_types(&files::read(file)).into_iter().map(move |name| format!("{file}: `{name}` says its role"))
    });
    assert_none(&files_named.chain(types).collect::<Vec<_>>());
    assert_eq!(empty_names("src/http/string_utils/mod.rs"), ["utils"]);
    assert_eq!(suffixed_types("pub struct UserService; enum Impl {} struct Handlers;"), ["UserService"]);
}

#[test]
fn nothing_is_left_for_later() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let faults = files::all().into_iter().flat_map(|file| {
        let text = files::read(&file);
        let left = |line: &str| words.iter().any(|word| line.contains(word));
        let lines: Vec<usize> = (1..).zip(text.lines()).filter(|(_, line)| left(line)).map(|(at, _)| at).collect();
        lines.into_iter().map(move |at| format!("{file}:{at}: say it in the code, or do it"))
    });
    assert_none(&faults.collect::<Vec<_>>());
}

#[test]
fn no_test_is_switched_off() {
    assert_none(&faults_in_code(&rust(), &["#[ignore"], &[]));
}

#[test]
fn no_test_sleeps() {
    assert_none(&faults_in_code(&tests(), &["thread::sleep", "time::sleep"], SLEEPS));
    let planted = "use tokio::time::sleep; // thread::sleep";
    assert_eq!(naming(planted, &["thread::sleep", "time::sleep"]), [1]);
}

fn tests() -> Vec<String> {
    files::below(&["tests/", "benches/"], ".rs")
}

/// The lines whose code, comments and literals aside, contains one of these.
fn naming(source: &str, wanted: &[&str]) -> Vec<usize> {
    let code = without_comments(source, Keep::Code);
    (1..).zip(code.lines()).filter(|(_, line)| wanted.iter().any(|one| line.contains(one))).map(|(at, _)| at).collect()
}

fn faults_in_code(files: &[String], wanted: &[&str], excepted: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().filter(|file| !excepted.iter().any(|(excepted, _)| excepted == file));
    files
        .flat_map(|file| {
            naming(&files::read(file), wanted).into_iter().map(move |at| format!("{file}:{at}: {wanted:?}"))
        })
        .collect()
}

/// The ports of this machine that a source names, except 0, which the system chooses, and 1, on which nobody listens.
fn fixed_ports(source: &str) -> Vec<(usize, u32)> {
    let text = without_comments(source, Keep::Literals);
    let mut found = Vec::new();
    for (at, line) in (1..).zip(text.lines()) {
        for host in ["127.0.0.1:", "localhost:", "0.0.0.0:", "[::1]:", "[::]:", "LOCALHOST, "] {
            for (start, _) in line.match_indices(host) {
                let digits: String = line[start + host.len()..].chars().take_while(char::is_ascii_digit).collect();
                found.extend(digits.parse().ok().filter(|port| *port > 1).map(|port| (at, port)));
            }
        }
    }
    found
}

#[test]
fn no_test_has_a_port_of_its_own() {
    let files = tests().into_iter().filter(|file| !PORTS.iter().any(|(excepted, _)| excepted == file));
    // The rules themselves name ports, to look for them.
    let files = files.filter(|file| !file.starts_with("tests/repository/"));
    let faults = files.flat_map(|file| {
        fixed_ports(&files::read(&file)).into_iter().map(move |(at, port)| format!("{file}:{at}: port {port}"))
    });
    assert_none(&faults.collect::<Vec<_>>());
    assert_eq!(fixed_ports("// localhost:1\n\"http://localhost:8080/\" \"127.0.0.1:0\""), [(2, 8080)]);
}

#[test]
fn every_exception_is_needed_and_explained() {
    for (file, reason) in SLEEPS.iter().chain(PORTS) {
        let source = files::read(*file);
        let needed = !naming(&source, &["thread::sleep", "time::sleep"]).is_empty() || !fixed_ports(&source).is_empty();
        assert!(needed, "{file} needs no exception any more");
        assert!(reason.split(' ').count() > 4, "{file}: the exception needs a reason");
    }
}
