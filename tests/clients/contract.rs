//! The OpenAPI document as tools of other languages read it.

use std::{path::Path, process::Command};

use crate::tool;

/// The document as it stands in the repository. Another test compares it with the program.
fn document() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("api/openapi.json").to_str().unwrap().to_owned()
}

/// Runs a tool on the document, and fails with what it writes unless it succeeds.
async fn run(mut command: Command) -> String {
    command.arg(document());
    let output = tool::output(command, []).await;
    let written = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{written}");
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn kin_openapi_accepts_the_document_and_compiles_its_patterns() {
    let written = run(Command::new(tool::program("kin-openapi"))).await;
    assert!(written.ends_with(" paths\n"), "{written}");
}
