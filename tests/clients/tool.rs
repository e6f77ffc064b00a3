//! Programs that scripts/test-setup provides, found and run.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

/// That program; fails and says what to do where there is none.
pub(crate) fn program(name: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    #[expect(clippy::disallowed_methods, reason = "where programs are is no setting of the service")]
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [tools.join("bin"), tools.join("venv/bin")].into_iter().chain(env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("no {name}: run scripts/test-setup, which installs it or says what to install"))
}

/// Where that file is that scripts/test-setup puts below target/tools.
pub(crate) fn path(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(name);
    assert!(file.is_file(), "no {name}: run scripts/test-setup");
    file
}

/// The text of a file that scripts/test-setup puts below target/tools.
pub(crate) fn file(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(name);
    fs::read_to_string(file).unwrap_or_else(|error| panic!("no {name}: run scripts/test-setup: {error}"))
}

/// The Python that has the packages of scripts/test-setup, about to run that script of this folder.
pub(crate) fn python(script: &str, arguments: &[&str]) -> Command {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/venv/bin/python");
    assert!(python.is_file(), "no Python packages: run scripts/test-setup, which installs them");
    let mut command = Command::new(python);
    // Nothing is to be left in the repository.
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script)).args(arguments);
    command
}

/// Runs it to its end on another thread, so that the service in this process goes on.
pub(crate) async fn output(mut command: Command, input: impl Into<Vec<u8>>) -> Output {
    let input = input.into();
    let run = move || {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Beside reading: what is long would fill both pipes. Who does not read to the end says why by other means.
        let writer = thread::spawn(move || stdin.write_all(&input).ok());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// What it writes as JSON; fails with what it complains of.
pub(crate) async fn json(command: Command, input: impl Into<Vec<u8>>) -> serde_json::Value {
    let output = output(command, input).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
