//! The paths that a Rust source names, with `use` groups written out.

use super::files::{Keep, without_comments};

/// One path as it is named: `crate::telemetry::Counter`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Its parts; `*` for a glob.
    pub(crate) parts: Vec<String>,
    /// Whether a `use` or `extern crate` names it: only there one part alone is a path.
    pub(crate) imported: bool,
}

/// Every path in the source: those of two parts or more, and the single names that are imported.
pub(crate) fn paths(source: &str) -> Vec<Path> {
    let code = without_comments(source, Keep::Code);
    let mut reader = Reader { tokens: tokens(&code), at: 0, found: Vec::new(), imported: false };
    while reader.at < reader.tokens.len() {
        reader.step();
    }
    reader.found
}

fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                word => word,
            };
            let (token, after) = rest.split_at(length);
            tokens.push((line + 1, token));
            rest = after.trim_start();
        }
    }
    tokens
}

struct Reader<'a> {
    tokens: Vec<(usize, &'a str)>,
    at: usize,
    found: Vec<Path>,
    imported: bool,
}

impl Reader<'_> {
    fn token(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |(_, token)| token)
    }

    fn step(&mut self) {
        match self.token(0) {
            // `use<'a>` says what a return type borrows and imports nothing.
            "use" if self.token(1) != "<" => self.imported = true,
            "crate" if self.at > 0 && self.tokens[self.at - 1].1 == "extern" => self.imported = true,
            ";" => self.imported = false,
            "{" if self.imported => {
                self.tree(&[]);
                return;
            }
            token if is_word(token) && token != "as" => {
                self.tree(&[]);
                return;
            }
            _ => {}
        }
        self.at += 1;
    }

    /// Reads one path from here, and where it ends in a group, all the paths of the group.
    fn tree(&mut self, before: &[String]) {
        let line = self.tokens[self.at].0;
        let mut parts = before.to_vec();
        while is_word(self.token(0)) || (self.imported && self.token(0) == "*") {
            parts.push(self.token(0).to_owned());
            self.at += 1;
            if self.token(0) != "::" || !(is_word(self.token(1)) || matches!(self.token(1), "*" | "{")) {
                break;
            }
            self.at += 1;
        }
        if self.token(0) == "{" && self.imported {
            self.at += 1;
            while self.at < self.tokens.len() && self.token(0) != "}" {
                let before = self.at;
                self.tree(&parts);
                if self.token(0) == "as" {
                    self.at += 2;
                }
                if self.at == before || self.token(0) == "," {
                    self.at += 1;
                }
            }
            self.at += 1;
        } else if parts.len() > 1 || (self.imported && parts.len() == 1) {
            self.found.push(Path { line, parts, imported: self.imported });
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|char: char| char.is_alphabetic() || char == '_')
}

#[test]
fn groups_are_written_out() {
    let source =
        "use a::{self, b::{C as D, e::*}, f};\nfn g(h: i::J) -> k::L<m::N> { o::<P>() }\nextern crate q;\nuse r;";
    let named: Vec<(usize, String)> = paths(source).iter().map(|path| (path.line, path.parts.join("::"))).collect();
    let expected = ["a::self", "a::b::C", "a::b::e::*", "a::f"].map(|path| (1, path));
    let expected = expected.into_iter().chain(["i::J", "k::L", "m::N"].map(|path| (2, path)));
    let expected: Vec<_> = expected.chain([(3, "q"), (4, "r")]).map(|(line, path)| (line, path.to_owned())).collect();
    assert_eq!(named, expected);
}
