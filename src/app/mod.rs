//! Assembles the parts and runs them: the only module that knows all of them.

pub mod command;
mod migrate;
mod perform;
mod run;
mod signals;
mod stack;

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::Context;
use tokio::runtime::{Handle, Runtime};
use tracing::dispatcher::{DefaultGuard, set_default};

pub use command::{Arguments, Command};
pub use perform::{Failure, perform};
pub use signals::stop_signals;

use crate::{
    config::Settings,
    connection::{self, OpenFiles},
    faults::{Known, Switchboard},
    http::openapi,
    internal::{self, Thread},
    store,
    telemetry::{AwakeWorkers, Output, Telemetry, runtime, tasks::enlist, timeline::Timeline},
};

/// A service that is built: every port is reserved, nothing is served yet.
pub struct App {
    parts: Parts,
    ports: Ports,
}

/// What lives from the first step of starting to the last of stopping.
struct Parts {
    logging: Logging,
    settings: Settings,
    telemetry: Telemetry,
    internal: Thread,
    main: Runtime,
    awake: AwakeWorkers,
    timeline: Timeline,
    faults: Switchboard,
}

/// Handed on to whoever serves them: a port that stopping should close must have no second owner.
struct Ports {
    public: TcpListener,
    internal: TcpListener,
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
    pub fn build(mut settings: Settings, output: Output, logging: Logging) -> anyhow::Result<Self> {
        share_open_files(&mut settings, OpenFiles::raise())?;
        let internal = Thread::start().context("the internal thread cannot be started")?;
        let telemetry = Telemetry::start(&settings.telemetry, output, internal.runtime())?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_all().worker_threads(settings.runtime_workers).thread_name("main");
        match logging {
            Logging::Process => {
                telemetry.make_global()?;
                builder.on_thread_start(enlist);
            }
            Logging::Threads => {
                let log = telemetry.dispatch().clone();
                builder.on_thread_start(move || {
                    forever(set_default(&log));
                    enlist();
                });
                let log = telemetry.dispatch().clone();
                internal.runtime().spawn(async move { forever(set_default(&log)) });
            }
        }
        let timeline = Timeline::default();
        let awake = AwakeWorkers::new(settings.runtime_workers);
        timeline.install(&mut builder, &awake);
        let main = runtime::measure_polls(&mut builder).build().context("the main runtime cannot be built")?;
        let runtimes = vec![("main", main.handle().clone()), ("internal", internal.runtime().clone())];
        runtime::register(&telemetry.metrics, runtimes);

        let known =
            Known { routes: openapi::operations(), statements: store::statements(), workers: settings.runtime_workers };
        let (main_runtime, outage) = (main.handle().clone(), telemetry.outage.clone());
        let faults = Switchboard::new(settings.faults, known, main_runtime, outage, &telemetry.metrics);

        let ports = Ports {
            public: bind(settings.http.listen, "public")?,
            internal: bind(settings.internal.listen, "internal")?,
        };
        Ok(Self { parts: Parts { logging, settings, telemetry, internal, main, awake, timeline, faults }, ports })
    }

    /// The runtime that serves requests, for whoever embeds the service and has work of its own to put beside it.
    pub fn main_runtime(&self) -> &Handle {
        self.parts.main.handle()
    }

    /// Where the public port listens, now that the system has chosen.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn public_address(&self) -> std::io::Result<SocketAddr> {
        self.ports.public.local_addr()
    }

    /// Where the internal port listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn internal_address(&self) -> std::io::Result<SocketAddr> {
        self.ports.internal.local_addr()
    }
}

fn bind(address: SocketAddr, port: &str) -> anyhow::Result<TcpListener> {
    connection::bind(address).with_context(|| format!("the {port} port cannot listen on {address}"))
}

/// A connection of SQLite opens the database, its log and the log's index.
const FILES_PER_STORE_CONNECTION: u64 = 3;

/// Lowers `http.max_connections` to the files that are left beside the internal port and the store.
fn share_open_files(settings: &mut Settings, files: OpenFiles) -> anyhow::Result<()> {
    let store = u64::from(settings.store.max_connections) * FILES_PER_STORE_CONNECTION;
    let reserved = internal::MAX_CONNECTIONS as u64 + store;
    let (limit, wanted) = (files.limit(), settings.http.max_connections);
    let Some(left) = files.connections_left(reserved) else {
        anyhow::bail!(
            "the limit of open files is {limit}, and the store and the internal port need all of them: raise the hard \
             limit (LimitNOFILE= of systemd, ulimit -Hn), or lower store.max_connections"
        );
    };
    if left < wanted {
        settings.http.max_connections = left;
        settings.warnings.push(format!(
            "http.max_connections is {wanted}, but the limit of open files, {limit}, leaves {left} beside the store and \
             the internal port: {left} is used; raise the hard limit (LimitNOFILE= of systemd, ulimit -Hn)"
        ));
    }
    Ok(())
}

/// For a thread that logs to one place as long as it lives.
fn forever(guard: DefaultGuard) {
    std::mem::forget(guard);
}

/// How long ending the internal thread may take: it has nothing to finish. Writing the last lines takes no longer.
const ENDING: Duration = Duration::from_millis(250);
