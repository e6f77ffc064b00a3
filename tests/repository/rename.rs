//! A fork has its own name everywhere: `make rename` on a copy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use super::files;

/// This repository's name.
const NAME: &str = env!("CARGO_PKG_NAME");

/// What keeps the old name: whose work it is, and how it came to be.
const KEPT: &[&str] = &["CHANGELOG.md", "LICENSE"];

/// A copy of what is committed, in a repository of its own.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in files::all() {
        let to = folder.path().join(&file);
        fs::create_dir_all(to.parent().expect("below the root")).expect("a folder can be made");
        fs::copy(files::root().join(&file), to).expect("a file can be copied");
    }
    for arguments in [&["init", "--quiet"][..], &["add", "--all", "--force"]] {
        let git = Command::new("git").args(arguments).current_dir(&folder).output().expect("git is installed");
        assert!(git.status.success(), "{}", said(&git));
    }
    folder
}

fn rename(folder: &Path, name: &str) -> Output {
    let mut make = Command::new("make");
    // Settings of the `make` that may be running these tests are not meant for this one.
    make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("MFLAGS");
    make.env("CARGO_NET_OFFLINE", "true");
    make.args(["rename", &format!("NAME={name}")]).current_dir(folder).output().expect("make is installed")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The files in which a name is left, in whatever letters: in their text or their path.
fn naming(folder: &Path, name: &str) -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(folder).output();
    let listed = String::from_utf8(listed.expect("git is installed").stdout).expect("file names are UTF-8");
    let has = |text: &str| text.to_lowercase().contains(name);
    let files = listed.lines().map(PathBuf::from).filter(|file| folder.join(file).is_file());
    let files = files.filter(|file| !KEPT.iter().any(|kept| file == Path::new(kept)));
    files
        .filter(|file| {
            let text = fs::read(folder.join(file)).expect("a file that git lists can be read");
            has(&file.to_string_lossy()) || has(&String::from_utf8_lossy(&text))
        })
        .collect()
}

#[test]
fn a_fork_has_its_own_name_everywhere() {
    let folder = copy();
    assert!(naming(folder.path(), NAME).len() > 5, "the name is looked for where it is");
    let renamed = rename(folder.path(), "night_watch");
    assert!(renamed.status.success(), "{}", said(&renamed));
    assert_eq!(naming(folder.path(), NAME), Vec::<PathBuf>::new());

    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--depth", "0"])
        .current_dir(&folder)
        .output()
        .expect("cargo runs these tests");
    assert!(tree.status.success() && said(&tree).starts_with("night_watch v"), "{}", said(&tree));
    let lock = fs::read_to_string(folder.path().join("Cargo.lock")).expect("it is committed");
    let packages: Vec<&str> = lock.lines().filter(|line| line.starts_with("name = ")).collect();
    assert!(packages.is_sorted(), "cargo has written Cargo.lock anew");
}

#[test]
fn what_is_renamed_can_be_renamed_again() {
    let folder = copy();
    // In two parts, or it would be renamed here too.
    for name in [concat!("night", "watch"), NAME] {
        let renamed = rename(folder.path(), name);
        assert!(renamed.status.success(), "{}", said(&renamed));
    }
    for file in files::all() {
        let (before, after) = (fs::read(files::root().join(&file)), fs::read(folder.path().join(&file)));
        assert!(
            before.expect("it is ours") == after.expect("it was copied"),
            "{file} is not what it was, or was not formatted"
        );
    }
}

#[test]
fn a_name_that_cannot_stand_everywhere_is_refused() {
    let folder = copy();
    for name in ["", "Night", "night-watch", "9lives", "night watch", "a/b", "night_", "test", NAME] {
        let refused = rename(folder.path(), name);
        assert!(!refused.status.success(), "`{name}`: {}", said(&refused));
    }
    assert!(!naming(folder.path(), NAME).is_empty());
}
