//! Assembles the parts and runs them: the only module that knows all of them.

mod command;
mod perform;
mod run;
mod signals;
mod stack;

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::Context;
use tokio::runtime::Runtime;

pub use command::{Arguments, Command};
pub use perform::perform;
pub use signals::stop_signals;

use crate::{
    config::Settings,
    internal::Thread,
    telemetry::{Output, Telemetry, runtime},
};

/// A service that is built: every port is reserved, nothing is served yet.
pub struct App {
    settings: Settings,
    telemetry: Telemetry,
    logging: Logging,
    internal: Thread,
    main: Runtime,
    public_port: TcpListener,
    internal_port: TcpListener,
}

/// For whom the service's log is the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logging {
    /// For the whole process: there is one service in it.
    Process,
    /// For this service's own threads: there are others, and each test reads its own.
    Threads,
}

impl App {
    /// Does everything that can fail before anybody is served: telemetry, threads, sockets.
    ///
    /// # Errors
    /// When a port is taken, an exporter cannot be built, or the system gives no thread.
    pub fn build(settings: Settings, output: Output, logging: Logging) -> anyhow::Result<Self> {
        let internal = Thread::start().context("the internal thread cannot be started")?;
        let telemetry = Telemetry::start(&settings.telemetry, output, internal.runtime())?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_all().worker_threads(settings.runtime_workers).thread_name("main");
        match logging {
            Logging::Process => telemetry.make_global()?,
            Logging::Threads => {
                let dispatch = telemetry.dispatch().clone();
                builder.on_thread_start(move || log_to(&dispatch));
                let dispatch = telemetry.dispatch().clone();
                internal.runtime().spawn(async move { log_to(&dispatch) });
            }
        }
        let main = runtime::measure_polls(&mut builder).build().context("the main runtime cannot be built")?;
        let runtimes = vec![("main", main.handle().clone()), ("internal", internal.runtime().clone())];
        runtime::register(&telemetry.metrics, runtimes);

        let public_port = bind(settings.http.listen, "public")?;
        let internal_port = bind(settings.internal.listen, "internal")?;
        Ok(Self { settings, telemetry, logging, internal, main, public_port, internal_port })
    }

    /// Where the public port listens, now that the system has chosen.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn public_address(&self) -> std::io::Result<SocketAddr> {
        self.public_port.local_addr()
    }

    /// Where the internal port listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn internal_address(&self) -> std::io::Result<SocketAddr> {
        self.internal_port.local_addr()
    }
}

fn bind(address: SocketAddr, port: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("the {port} port cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// This thread logs there for as long as it lives.
fn log_to(dispatch: &tracing::Dispatch) {
    std::mem::forget(tracing::dispatcher::set_default(dispatch));
}

/// How long ending the internal thread may take: it has nothing to finish.
const INTERNAL_BUDGET: Duration = Duration::from_secs(1);
