//! x
use glasshouse::{
    app::{App, Logging, stop_signals},
    config::{self, Sources},
    domain::Clock,
    telemetry::Output,
};
fn main() -> anyhow::Result<()> {
    let mut settings = config::load(&Sources::of_process(None)).unwrap_or_else(|f| {
        eprintln!("{f}");
        std::process::exit(78)
    });
    settings.keep_signing_key()?;
    let app =
        App::build(settings, Output { writer: Box::new(std::io::stdout()), is_terminal: false }, Logging::Process)?;
    app.run(Clock::system(), stop_signals)
}
