//! What each command does, and how the process ends.

mod health;
mod migrate;
mod serve;
mod user;

use std::io::{self, Write};

use super::command::{Arguments, Command, Config, Format};
use crate::{
    config::{self, Settings, Sources},
    http::openapi,
    telemetry::catalog,
};

/// How a command ended badly.
#[derive(Debug)]
pub enum Failure {
    /// The settings are wrong: exit code 78, `EX_CONFIG` of sysexits(3).
    Settings(String),
    /// Anything else: exit code 1.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Failure {
    /// What the process ends with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) => 78,
            Self::Other(_) => 1,
        }
    }

    /// What is said to whoever started it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Settings(faults) => faults.clone(),
            Self::Other(error) => format!("glasshouse: {error:#}\n"),
        }
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// As [`Failure`] says; nothing has been printed of it yet.
pub fn perform(arguments: Arguments) -> Result<(), Failure> {
    let sources = Sources::of_process(arguments.config.clone());
    let settings = || config::load(&sources).map_err(|faults| Failure::Settings(faults.to_string()));
    match arguments.into_command() {
        Command::Serve => serve::serve(settings()?),
        Command::Migrate(step) => migrate::migrate(&settings()?, step),
        Command::User(command) => user::user(&settings()?, command),
        Command::Health { url } => health::health(url, settings),
        Command::Openapi => print(&(openapi::document().to_pretty_json()? + "\n")),
        Command::Signals { format: Format::Markdown } => print(&catalog::markdown()),
        Command::Signals { format: Format::Weaver } => print(&catalog::weaver()),
        Command::Signals { format: Format::Json } => print(&format!("{:#}\n", catalog::json())),
        Command::Config(Config::Check) => check(&settings()?),
        Command::Config(Config::Print) => print(&settings()?.print()),
        Command::Config(Config::Reference) => print(&config::reference()),
    }
}

fn check(settings: &Settings) -> Result<(), Failure> {
    let warnings = settings.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    print(&(warnings.collect::<Vec<_>>().concat() + "the settings are fine\n"))
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // `glasshouse signals | head`: whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
