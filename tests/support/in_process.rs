//! The whole service on SQLite in this process, for what measures it from inside. Its log goes nowhere.

#![allow(clippy::unwrap_used, reason = "a test or a benchmark without a service is to fail")]

use std::{io, net::SocketAddr, thread};

use glasshouse::{
    app::{App, Logging},
    config::{self, Sources},
    domain::Clock,
    telemetry::Output,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Starts it with its files in the folder, on ports that the system chooses and without rate limits. Returns the address of
/// its public port; it stops when the sender sends or is dropped.
pub(crate) fn start(folder: &TempDir) -> (SocketAddr, mpsc::Sender<&'static str>) {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let environment = vec![
        ("DATABASE_URL".to_owned(), format!("sqlite://{}?mode=rwc", path("users.db"))),
        ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE".to_owned(), path("key.pem")),
        ("GLASSHOUSE_HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("GLASSHOUSE_INTERNAL__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("GLASSHOUSE_LIMITS__ENABLED".to_owned(), "false".to_owned()),
    ];
    let settings = config::load(&Sources::given(None, environment)).unwrap();
    let output = Output { writer: Box::new(io::sink()), is_terminal: false };
    let app = App::build(settings, output, Logging::Process).unwrap();
    let address = app.public_address().unwrap();
    let (stop, stops) = mpsc::channel(1);
    thread::spawn(move || app.run(&Clock::system(), || Ok(stops)));
    (address, stop)
}
