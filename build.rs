//! Asks git and the compiler which build this is going to be.
#![expect(clippy::disallowed_methods, reason = "this is how cargo speaks to a build script")]

use std::{env, process::Command};

fn main() {
    // Said by who builds without a repository, as an image is built.
    let said = env::var("BUILD_REVISION").ok().filter(|said| !said.is_empty());
    let revision = said.or_else(|| answer("git", &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]));
    let rustc = answer(&env::var("RUSTC").unwrap_or_default(), &["--version"]);
    // Not named as settings are: `cargo run` hands these on to the service, which refuses settings that it does not know.
    println!("cargo:rustc-env=BUILD_REVISION={}", revision.as_deref().unwrap_or("unknown"));
    println!("cargo:rustc-env=BUILD_RUSTC={}", rustc.as_deref().unwrap_or("unknown"));
    println!("cargo:rustc-env=BUILD_PROFILE={}", env::var("PROFILE").unwrap_or_default());
    println!("cargo:rustc-env=BUILD_TARGET={}", env::var("TARGET").unwrap_or_default());
    // A commit moves HEAD's log; watching the index too would rebuild after every `git add`.
    if std::path::Path::new(".git/logs/HEAD").exists() {
        println!("cargo:rerun-if-changed=.git/logs/HEAD");
    }
    println!("cargo:rerun-if-env-changed=BUILD_REVISION");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=migrations");
}

fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
