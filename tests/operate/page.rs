//! A page of the runbook: its sections, and the commands that stand in them, run as somebody would who pastes them.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::Service;

/// One section with the commands in it, in their order.
pub(crate) struct Section {
    pub(crate) heading: String,
    pub(crate) commands: Vec<String>,
}

/// The sections of `runbook/<name>.md`.
pub(crate) fn sections(name: &str) -> Vec<Section> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook").join(name).with_extension("md");
    parse(&fs::read_to_string(page).unwrap())
}

fn parse(page: &str) -> Vec<Section> {
    let mut sections = Vec::<Section>::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match (line.strip_prefix("## "), block.as_mut()) {
            (_, Some(_)) if line == "```" => {
                let section = sections.last_mut().expect("a command stands in a section");
                section.commands.extend(block.take());
            }
            (_, Some(command)) => command.extend([line, "\n"]),
            (Some(heading), None) => sections.push(Section { heading: heading.to_owned(), commands: Vec::new() }),
            (None, None) if line == "```sh" => block = Some(String::new()),
            (None, None) => {}
        }
    }
    sections
}

/// Runs a command in a folder of its own. Only the ports are other ones than on the page, and five seconds are one,
/// except for Go's tool, which waits half as long again as a profile takes, and here that may be too short.
pub(crate) async fn paste(command: &str, service: &Service, folder: &Path) -> Output {
    let command = command
        .replace("localhost:6060", &service.internal.to_string())
        .replace("localhost:8080", &service.public.to_string())
        .replace("seconds=5", if command.starts_with("go ") { "seconds=5" } else { "seconds=1" });
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    let command = format!("PATH={}:$PATH\n{command}", tools.display());
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &command]).current_dir(folder).env("PPROF_TMPDIR", folder.join("pprof"));
    tokio::task::spawn_blocking(move || bash.output().unwrap()).await.unwrap()
}

#[test]
fn commands_are_found_where_they_stand() {
    let sections = parse("# A\n## B\ntext\n```sh\none\ntwo\n```\n```sh\nthree\n```\n## C\n```text\nno\n```\n");
    let found: Vec<_> = sections.iter().map(|section| (section.heading.as_str(), section.commands.len())).collect();
    assert_eq!(found, [("B", 2), ("C", 0)]);
    assert_eq!(sections[0].commands[0], "one\ntwo\n");
}
