//! The Dockerfile: what it builds with, what it leaves in the image, and that nothing else gets in.

use std::process::Command;

use super::{parts, read, resolved, root};
use crate::tool;

/// The instructions of the Dockerfile, continued lines joined, comments left out.
fn instructions() -> Vec<String> {
    let text = read("Dockerfile");
    let mut instructions: Vec<String> = Vec::new();
    let mut continued = false;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
        match instructions.last_mut().filter(|_| continued) {
            Some(last) => last.push_str(line.trim_start()),
            None => instructions.push(line.to_owned()),
        }
        continued = goes_on;
    }
    instructions
}

/// What one kind of instruction says, each time it is there.
fn said(kind: &str) -> Vec<String> {
    let rest = |line: String| line.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' ')).map(str::to_owned);
    instructions().into_iter().filter_map(rest).collect()
}

#[test]
fn hadolint_has_nothing_to_complain_of() {
    let output = Command::new(tool::program("hadolint")).arg(root().join("Dockerfile")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_image_is_built_with_the_compiler_of_this_repository() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    let stages = said("FROM");
    assert_eq!(stages.len(), 2, "{stages:?}");
    assert_eq!(stages[0], format!("rust:{channel}-slim-trixie AS build"));
    // The C library of the last stage is that of the first: Debian 13 in both.
    assert!(stages[1].starts_with("gcr.io/distroless/cc-debian13:nonroot@sha256:"), "{}", stages[1]);
}

#[test]
fn dependencies_are_compiled_before_the_source_is_there_and_with_the_same_flags() {
    let order: Vec<String> = instructions().into_iter().take_while(|line| !line.contains("distroless")).collect();
    let at = |text: &str| order.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}"));
    let builds: Vec<usize> = order
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("cargo build --release --locked"))
        .map(|(at, _)| at)
        .collect();
    assert_eq!(builds.len(), 2, "{order:?}");
    assert!(at("COPY .cargo") < builds[0] && at("COPY Cargo.toml Cargo.lock") < builds[0], "{order:?}");
    assert!(builds[0] < at("COPY src") && at("COPY src") < builds[1], "{order:?}");
    // Without it cargo takes the empty program for the real one.
    assert!(order[builds[1]].contains("touch build.rs src/main.rs src/lib.rs"), "{}", order[builds[1]]);
    // Variables that replace the flags of .cargo/config.toml, or take the names out of profiles.
    let replaced = ["RUSTFLAGS", "CARGO_PROFILE", "CARGO_BUILD", "strip"];
    assert!(!order.iter().any(|line| replaced.iter().any(|word| line.contains(word))), "{order:?}");
}

#[test]
fn what_is_cut_from_the_manifest_are_benchmarks_and_tests_and_nothing_else() {
    assert!(instructions().iter().any(|line| line.contains(r"sed -i '/^\[\[/,$d' Cargo.toml")));
    let manifest = read("Cargo.toml");
    let targets = manifest.find("\n[[").expect("there is nothing to cut any more");
    let (kept, whole): (toml::Table, toml::Table) = (manifest[..targets].parse().unwrap(), manifest.parse().unwrap());
    for (name, value) in &whole {
        assert!(kept.get(name) == Some(value) || matches!(name.as_str(), "bench" | "test"), "[{name}] is cut");
    }
    let release = &kept["profile"]["release"];
    assert_eq!(release["debug"].as_integer(), Some(1), "a profile needs line tables");
    assert!(release.get("strip").is_none(), "a profile needs symbols");
}

#[test]
fn the_context_is_what_the_dockerfile_copies_and_nothing_else() {
    let ignore = read(".dockerignore");
    let let_in: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignore.lines().any(|line| line == "*"), "everything else stays out");
    let copies = said("COPY").into_iter().filter(|line| !line.starts_with("--from"));
    let sources =
        copies.flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let mut needed: Vec<String> = sources.collect();
    needed.sort();
    assert_eq!(needed, let_in);
    for path in needed {
        assert!(root().join(&path).exists(), "{path} is not there");
    }
}

#[test]
fn the_image_runs_as_nobody_and_says_itself_how_it_is() {
    let user: Vec<u32> = said("USER")[0].split(':').map(|id| id.parse().unwrap()).collect();
    assert!(user.len() == 2 && user.iter().all(|id| *id > 0), "a number that is not root's: {user:?}");
    assert!(said("HEALTHCHECK")[0].ends_with(r#"CMD ["/usr/local/bin/glasshouse", "health"]"#));
    assert_eq!(said("STOPSIGNAL"), ["SIGTERM"]);
    assert_eq!(said("ENTRYPOINT"), [r#"["/usr/local/bin/glasshouse"]"#]);
    assert!(said("CMD").is_empty(), "no subcommand means serve, and others can be given");
    // The volume of the compose lies over the folder that this user may write to.
    let folder = &said("WORKDIR")[1];
    assert!(said("COPY").contains(&format!("--from=build --chown={}:{} /build/data data", user[0], user[1])));
    let resolved = resolved();
    let (_, part) = parts(&resolved).find(|(name, _)| *name == "glasshouse").unwrap();
    assert_eq!(part["volumes"][0]["target"], format!("{folder}/data"));
}
