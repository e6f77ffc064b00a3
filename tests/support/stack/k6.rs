//! k6, running the journey of `loadtest/users.ts` against the service.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::Value;

use super::{
    folder::Folder,
    process::{Limits, Process, Program},
    tool,
};

/// A run under way; it ends with the value.
pub(crate) struct K6 {
    process: Process,
    folder: Folder,
}

impl K6 {
    /// Runs a profile against that address, with further variables of the script such as `RATE`; returns when its users
    /// have begun.
    pub(crate) async fn start(public: SocketAddr, profile: &str, variables: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let (base, place) = (format!("http://{public}"), folder.path().display().to_string());
        let mut arguments = ["run", "--no-color", "--address=127.0.0.1:0"].map(str::to_owned).to_vec();
        let fixed = [("BASE_URL", base.as_str()), ("PROFILE", profile), ("SUMMARY_DIR", place.as_str())];
        for (name, value) in fixed.iter().chain(variables) {
            arguments.extend(["-e".to_owned(), format!("{name}={value}")]);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("loadtest/users.ts");
        arguments.push(script.display().to_string());
        let environment =
            [("HOME", place.as_str()), ("K6_NO_USAGE_REPORT", "true"), ("K6_AUTO_EXTENSION_RESOLUTION", "false")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let program = Program {
            file: &tool::program("k6"),
            arguments,
            environment: &environment,
            folder: folder.path(),
            limits: Limits::default(),
        };
        let (process, ()) = program.start(|line| line.starts_with("running (").then_some(())).await;
        Self { process, folder }
    }

    /// What it has counted and judged, once it has come to its end; see `loadtest/lib/summary.ts`.
    pub(crate) fn summary(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.folder.path().join("summary.json")).ok()?).ok()
    }

    /// What it has said last, such as the requests that failed.
    pub(crate) fn last_lines(&self) -> String {
        self.process.last_lines()
    }
}
