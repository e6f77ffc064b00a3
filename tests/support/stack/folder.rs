//! A folder for one program's files that goes when the value does, also when this process is killed.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The shell waits on a pipe whose other end this process holds. Who writes into the folder is killed at the same moment,
/// and may write for a moment yet.
const KEEPER: &str = r#"
cat >/dev/null
for try in 1 2 3 4 5; do
    rm -rf "$1" 2>/dev/null && exit
    sleep 0.2
done"#;

/// A folder of nobody else's.
pub(crate) struct Folder {
    path: PathBuf,
    keeper: Child,
}

impl Folder {
    /// A new one, empty.
    pub(crate) fn new() -> Self {
        let path = tempfile::Builder::new().prefix("glasshouse-stack-").tempdir().unwrap().keep();
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&path).process_group(0).stdin(Stdio::piped());
        let keeper = keeper.spawn().unwrap();
        Self { path, keeper }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().ok();
    }
}
