//! What the repository holds, and Rust source without what is not code.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the repository begins.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that is or would be committed, as a path below the root, sorted.
pub(crate) fn all() -> Vec<String> {
    // Whoever runs the tests may read a checkout that belongs to somebody else, as in a container.
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is installed");
    assert!(
        listed.status.success(),
        "git ls-files lists what the rules apply to: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let listed = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let mut files: Vec<String> = listed.lines().map(str::to_owned).filter(|file| root().join(file).is_file()).collect();
    files.sort();
    files.dedup();
    files
}

/// The files below one of these folders (`src/`) with this ending (`.rs`).
pub(crate) fn below(folders: &[&str], ending: &str) -> Vec<String> {
    let mut files = all();
    files.retain(|file| folders.iter().any(|folder| file.starts_with(folder)) && file.ends_with(ending));
    assert!(!files.is_empty(), "nothing like {folders:?}*{ending}: the rule would hold for nothing");
    files
}

/// The text of one file; empty if it is not text.
pub(crate) fn read(file: impl Into<PathBuf>) -> String {
    let file = file.into();
    let bytes = fs::read(root().join(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    String::from_utf8(bytes).unwrap_or_default()
}

/// Which parts of a source are blanked out. Lines keep their numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Code alone: neither comments nor what stands between quotes.
    Code,
    /// Code and literals, but no comments.
    Literals,
}

/// A Rust source without its comments and, if asked for, without the contents of its literals.
pub(crate) fn without_comments(source: &str, keep: Keep) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, shown) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (block_comment(rest), false),
            '"' => (string(rest), keep == Keep::Literals),
            'r' if !ends_in_word(&out) && raw_string(rest).is_some() => {
                (raw_string(rest).unwrap_or_default(), keep == Keep::Literals)
            }
            '\'' => (character(rest), keep == Keep::Literals),
            _ => (first.len_utf8(), true),
        };
        let (token, after) = rest.split_at(length);
        if shown {
            out.push_str(token);
        } else {
            out.extend(token.chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    out
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(|char: char| char.is_alphanumeric() || char == '_')
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest[1..].chars().take_while(|char| *char == '#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let end = body.find(&format!("\"{}", "#".repeat(hashes)))?;
    Some(1 + hashes + 1 + end + 1 + hashes)
}

/// A character literal; a lifetime's or label's quote stands alone.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => rest[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 3),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[test]
fn comments_and_literals_are_not_code() {
    let source = "a /* b /* c */ */ 'd' &'e f \"// g\\\"\" r#\"h\"i\"# '\\'' '\"' j // k\nl";
    let left = |keep| without_comments(source, keep).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(left(Keep::Code), "a & e f j l");
    assert_eq!(left(Keep::Literals), "a 'd' &'e f \"// g\\\"\" r#\"h\"i\"# '\\'' '\"' j l");
}
