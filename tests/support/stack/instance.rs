//! The built executable, in a process and a folder of its own.

use std::{net::SocketAddr, path::Path};

use super::{
    folder::Folder,
    process::{Limits, Process, Program},
};
use serde_json::Value;

/// A running service, which can be ended in any way and started again where it was.
pub(crate) struct Instance {
    /// Where it serves, also after a restart.
    pub(crate) public: SocketAddr,
    /// Where it tells of itself.
    pub(crate) internal: SocketAddr,
    /// Nothing while it is stopped.
    pub(crate) process: Option<Process>,
    settings: Vec<(String, String)>,
    limits: Limits,
    folder: Folder,
}

impl Instance {
    /// Starts it with those settings; the ports are public and internal, 0 for those that the system chooses.
    pub(crate) async fn start(settings: &[(String, String)], limits: Limits, ports: (u16, u16)) -> Self {
        let usual = [
            ("GLASSHOUSE_LOG__FORMAT", "json"),
            ("GLASSHOUSE_SHUTDOWN__NOTICE", "0s"),
            // All load comes from one address.
            ("GLASSHOUSE_LIMITS__ENABLED", "false"),
            // On a machine that runs many tests at once, what is done in good time elsewhere takes longer.
            ("GLASSHOUSE_SHED__MAX_WAIT", "10s"),
            ("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "2"),
        ];
        let mut environment: Vec<_> = usual.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        environment.retain(|(name, _)| !settings.iter().any(|(given, _)| given == name));
        environment.extend_from_slice(settings);
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let mut this = Self {
            public: address(ports.0),
            internal: address(ports.1),
            process: None,
            settings: environment,
            limits,
            folder: Folder::new(),
        };
        this.start_again().await;
        this
    }

    /// Starts it where it was before, with the same settings.
    ///
    /// # Panics
    /// If it does not come up.
    pub(crate) async fn start_again(&mut self) {
        self.process = None;
        let mut environment = self.settings.clone();
        environment.push(("GLASSHOUSE_HTTP__LISTEN".to_owned(), self.public.to_string()));
        environment.push(("GLASSHOUSE_INTERNAL__LISTEN".to_owned(), self.internal.to_string()));
        let program = Program {
            file: Path::new(env!("CARGO_BIN_EXE_glasshouse")),
            arguments: Vec::new(),
            environment: &environment,
            folder: self.folder.path(),
            limits: self.limits,
        };
        let (process, (public, internal)) = program.start(addresses).await;
        (self.public, self.internal, self.process) = (public, internal, Some(process));
    }

    /// Puts a setting in the place of what it was; it counts from the next start on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// What it is started with under that name.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Ends it at once, as the kernel does when memory has run out.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Its process.
    ///
    /// # Panics
    /// While it is stopped.
    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("the service runs")
    }
}

/// The public and the internal address, out of the line that says where it listens.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok().filter(|line: &Value| line["message"] == "started")?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    Some((address("server.address")?, address("internal.address")?))
}
