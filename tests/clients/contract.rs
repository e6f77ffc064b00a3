//! The OpenAPI document as tools of other languages read it: linters, a validator in Go, and a generator of clients.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    support::{PASSWORD, Service},
    tool,
};

/// The document as it stands in the repository. Another test compares it with the program.
fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("api/openapi.json")
}

/// Runs a tool, and fails with what it writes unless it succeeds.
async fn run(command: Command) -> String {
    let name = command.get_program().to_owned();
    let output = tool::output(command, []).await;
    let written = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{}: {written}", name.display());
    written
}

fn linter(name: &str) -> Command {
    let linter = tool::path(&format!("openapi-linters/node_modules/.bin/{name}"));
    let mut command = Command::new(linter);
    command.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    command
}

/// Writes a client for that language into a folder.
async fn generate(language: &str, folder: &Path) {
    let mut command = Command::new(tool::program("java"));
    command.arg("-jar").arg(tool::path("openapi-generator/openapi-generator-cli.jar"));
    command.args(["generate", "--generator-name", language, "--input-spec"]).arg(document());
    command.args(["--git-user-id", "generated", "--git-repo-id", "glasshouse"]);
    command.args(["--additional-properties", "packageName=glasshouse", "--output"]).arg(folder);
    let written = run(command).await;
    let errors: Vec<_> = written.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert!(errors.is_empty(), "{language}: {errors:#?}");
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { files(&path, extension) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kin_openapi_accepts_the_document_and_compiles_its_patterns() {
    let mut command = Command::new(tool::program("kin-openapi"));
    command.arg(document());
    let written = run(command).await;
    assert!(written.ends_with(" paths\n"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redocly_recommended_rules_find_nothing() {
    let folder = TempDir::new().unwrap();
    let mut command = linter("redocly");
    command.current_dir(&folder).args(["lint", "--extends", "recommended", "--format", "json"]).arg(document());
    let written = run(command).await;
    assert!(written.contains("\"errors\": 0") && written.contains("\"warnings\": 0"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spectral_recommended_rules_find_nothing() {
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, "extends: [[spectral:oas, recommended]]\n").unwrap();
    let mut command = linter("spectral");
    command.args(["lint", "--fail-severity", "hint", "--ruleset"]).arg(rules).arg(document());
    let written = run(command).await;
    assert!(written.contains("No results with a severity of 'hint' or higher found!"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_go_client_signs_in_and_changes_a_user() {
    let folder = TempDir::new().unwrap();
    generate("go", &folder.path().join("client")).await;
    let program = folder.path().join("program");
    fs::create_dir(&program).unwrap();
    fs::write(program.join("main.go"), include_str!("generated.go")).unwrap();
    let module = "module main\n\ngo 1.23\n\nrequire github.com/generated/glasshouse v0.0.0\n\n\
                  replace github.com/generated/glasshouse => ../client\n";
    fs::write(program.join("go.mod"), module).unwrap();

    let service = Service::start().await;
    service.client().joined("ann@example.com").await;
    let mut command = Command::new(tool::program("go"));
    command.current_dir(&program).env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local");
    command.args(["run", ".", &service.client().url(""), "ann@example.com", PASSWORD]);
    let user = tool::json(command, []).await;
    assert_eq!((&user["email"], &user["name"]), (&"ann@example.com".into(), &"Ann Lee".into()), "{user}");
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_python_client_compiles_and_has_one_type_for_each_enum() {
    let folder = TempDir::new().unwrap();
    generate("python", folder.path()).await;
    let mut compile = Command::new(tool::path("venv/bin/python"));
    compile.args(["-m", "compileall", "-q"]).arg(folder.path().join("glasshouse"));
    run(compile).await;
    let models = folder.path().join("glasshouse/models");
    let enums =
        files(&models, "py").into_iter().filter(|path| fs::read_to_string(path).unwrap().contains("(str, Enum)"));
    let mut enums: Vec<_> = enums.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    enums.sort_unstable();
    assert_eq!(enums, ["audit_action", "role", "user_field"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_typescript_client_compiles() {
    let folder = TempDir::new().unwrap();
    generate("typescript-fetch", folder.path()).await;
    let mut compile = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/node_modules/.bin/tsc"));
    compile.args(["--noEmit", "--skipLibCheck", "--lib", "es2022,dom", "--target", "es2022", "--module", "esnext"]);
    compile.args(["--moduleResolution", "bundler"]).arg(folder.path().join("index.ts"));
    run(compile).await;
}

/// rustfmt parses it. Compiling it would fetch and build what a client of ours does not need.
#[tokio::test(flavor = "multi_thread")]
async fn generated_rust_client_is_rust() {
    let folder = TempDir::new().unwrap();
    generate("rust", folder.path()).await;
    let mut format = Command::new(tool::program("rustfmt"));
    format.args(["--edition", "2021"]).arg(folder.path().join("src/lib.rs"));
    run(format).await;
    assert!(files(folder.path(), "rs").iter().any(|path| path.ends_with("apis/auth_api.rs")));
}
