//! `glasshouse serve`.

use std::io::{self, IsTerminal};

use anyhow::Context;

use super::Failure;
use crate::{
    app::{App, Logging, stop_signals},
    config::Settings,
    domain::Clock,
    telemetry::{Output, Stdout},
};

/// Runs the service until it is asked to stop.
pub(super) fn serve(mut settings: Settings) -> Result<(), Failure> {
    let key = settings.new_signing_key().map(|path| format!("the signing key cannot be kept in {}", path.display()));
    settings.keep_signing_key().with_context(|| key.unwrap_or_default())?;
    let output = Output { writer: Box::new(Stdout::new()), is_terminal: io::stdout().is_terminal() };
    let app = App::build(settings, output, Logging::Process)?;
    Ok(app.run(&Clock::system(), stop_signals)?)
}
