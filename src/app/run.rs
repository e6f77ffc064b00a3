//! The order of starting, of draining, of stopping.

use std::{future::Future, net::TcpListener, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tracing::dispatcher::set_default;

use super::{App, ENDING, Logging, Parts, Ports, migrate::migrate, stack::Stack};
use crate::{
    connection::Listener,
    domain::Clock,
    http::{self, Api, ConnectionMetrics, limits::Limits},
    internal::{self, Console, Live, Shown, Watch},
    lifecycle::{Drain, Draining, Latch, Readiness, drain},
    store::Store,
    telemetry,
    worker::Sweeper,
};

/// What has been started and has to be stopped.
struct Running {
    store: Store,
    serving: Arc<Latch>,
    accepting: Drain,
    working: Drain,
    acceptor: JoinHandle<()>,
    worker: JoinHandle<()>,
}

impl Running {
    /// Ends when a part has ended that nobody asked to, which only a panic can do: a process that is alive and lets
    /// nobody in must not stay.
    async fn lost(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.acceptor => "the acceptor",
            () = panicked(&mut self.worker) => "the worker",
        }
    }
}

/// Ends if the task panics. A worker that ends by itself has nothing to do: its migrations are broken, as it has said.
async fn panicked(task: &mut JoinHandle<()>) {
    if task.await.is_ok() {
        std::future::pending::<()>().await;
    }
}

impl App {
    /// Runs until somebody asks to stop, then stops in order; a second request stops at once. Both are heard while every
    /// worker is stuck; the order then waits for a worker, the second request does not. Blocks.
    ///
    /// # Errors
    /// When a part cannot be started, or stopping was cut short.
    pub fn run(
        self,
        clock: &Clock,
        stops: impl FnOnce() -> std::io::Result<mpsc::Receiver<&'static str>>,
    ) -> anyhow::Result<()> {
        let Self { parts, ports } = self;
        let _log = (parts.logging == Logging::Threads).then(|| set_default(parts.telemetry.dispatch()));
        // On the internal thread: workers that are all stuck hear nothing.
        let stops = {
            let _internal = parts.internal.runtime().enter();
            stops().context("cannot listen for signals")
        };
        let outcome = parts.main.block_on(async {
            let mut stops = stops?;
            let mut running = parts.start(ports, clock).await?;
            let (who, outcome) = tokio::select! {
                who = stops.recv() => (who.unwrap_or("the owner"), Ok(())),
                part = running.lost() => (part, Err(anyhow::anyhow!("{part} has ended early"))),
            };
            tokio::select! {
                () = parts.stop(running, who) => outcome,
                who = next(&mut stops) => {
                    tracing::warn!(target: "glasshouse::app", { signal = who }, "asked again: stopping at once");
                    Err(anyhow::anyhow!("stopping was cut short"))
                }
            }
        });
        parts.end();
        outcome
    }
}

impl Parts {
    async fn start(&self, ports: Ports, clock: &Clock) -> anyhow::Result<Running> {
        let Self { settings, telemetry, .. } = self;
        let (public, internal) = (ports.public.local_addr()?, ports.internal.local_addr()?);
        let metrics = &telemetry.metrics;
        for warning in &settings.warnings {
            tracing::warn!(target: "glasshouse::app", "{warning}");
        }
        if !internal.ip().is_loopback() {
            tracing::warn!(
                target: "glasshouse::app",
                { internal.address = %internal },
                "the internal port can be reached from other machines: everything but /metrics and /health wants the token (internal.token), and travels without encryption"
            );
        }
        let readiness = Readiness::new(metrics);
        // Before anything is spawned, since what was spawned before it was on never appears in it.
        let console = Console::start(telemetry.console.clone(), &self.internal, settings.internal.console, metrics);
        // Held before anybody can ask: a service of which no part is known yet would call itself ready.
        let (serving, migrated) = (Arc::new(readiness.latch("http")), readiness.latch("migrations"));
        let watch =
            Watch::start(&self.internal, self.main.handle().clone(), self.awake.clone(), &settings.internal, metrics);
        let shown = Shown {
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            watch,
            live: Live::start(&self.internal, metrics, self.awake.clone()),
            log_filter: telemetry.log_filter.clone(),
            console,
            followers: telemetry.followers.clone(),
            faults: self.faults.clone(),
            settings: settings.redacted(),
            runtimes: vec![("main", self.main.handle().clone()), ("internal", self.internal.runtime().clone())],
            timeline: (self.timeline.clone(), self.main.handle().clone()),
        };
        {
            let _internal = self.internal.runtime().enter();
            internal::dump_on_sigquit(&shown.runtimes).context("cannot listen for SIGQUIT")?;
        }
        let internal_router =
            internal::router(&settings.internal, shown).context("the internal port cannot be served")?;
        self.internal.serve(ports.internal, internal_router, metrics)?;

        let store = Store::open(&settings.store, telemetry.tracer.clone(), self.faults.clone(), metrics).await?;
        let Stack { users, auth, audit, store: guarded } = Stack::build(settings, &store, clock, metrics)?;
        let circuit = guarded.circuit.clone();
        readiness.check("store", settings.store.ping_timeout, move || guarded.check());
        readiness.look("circuit", move || circuit.closed());

        let (accepting, when_to_stop_accepting) = drain();
        let (working, when_to_stop_working) = drain();
        let api = Api {
            users: Arc::clone(&users),
            auth: Arc::clone(&auth),
            audit: Arc::clone(&audit),
            readiness,
            serving: Arc::clone(&serving),
            tracer: telemetry.tracer.clone(),
            faults: self.faults.clone(),
            limits: Limits::new(&settings.limits, metrics),
            config: settings.http.clone(),
            force_trace_token: settings.telemetry.force_trace_token.clone(),
        };
        let acceptor = self.serve(ports.public, api, when_to_stop_accepting)?;
        serving.release();
        let sweeper = Sweeper { auth, users, audit, clock: clock.clone(), tracer: telemetry.tracer.clone() };
        let (wanted, to_migrate, stop) = (settings.store.migrate, store.clone(), when_to_stop_working.clone());
        let worker = telemetry::spawn("worker", async move {
            if !wanted || migrate(&to_migrate, stop).await {
                migrated.release();
                sweeper.run(when_to_stop_working).await;
            }
        });
        tracing::info!(
            target: "glasshouse::app",
            {
                server.address = %public,
                internal.address = %internal,
                db.system.name = store.system(),
                service.revision = telemetry::BUILD.revision
            },
            "started"
        );
        Ok(Running { store, serving, accepting, working, acceptor, worker })
    }

    fn serve(&self, port: TcpListener, api: Api, draining: Draining) -> anyhow::Result<JoinHandle<()>> {
        let listener = Listener::new(port)?;
        let metrics = &self.telemetry.metrics;
        let connections = ConnectionMetrics::new(metrics);
        let (config, shared) = (api.config.clone(), api.limits.is_some());
        let router = http::router(api, metrics);
        Ok(telemetry::spawn("acceptor", http::serve(listener, router, config, shared, draining, connections)))
    }

    async fn stop(&self, running: Running, who: &'static str) {
        let budgets = &self.settings.shutdown;
        let Running { store, serving, accepting, working, .. } = running;
        tracing::info!(target: "glasshouse::app", { signal = who }, "asked to stop");
        // Workers that are blocked on purpose would keep the steps below from their time.
        self.faults.close();
        serving.hold();
        step("notice", budgets.notice, async {
            tokio::time::sleep(budgets.notice).await;
            true
        })
        .await;
        let finished = step("requests", budgets.grace, accepting.drain(budgets.grace)).await;
        // The worker's last writes and the store's closing share one budget: there are 30 s for everything.
        let began = Instant::now();
        step("worker", budgets.store, working.drain(budgets.store)).await;
        let left = budgets.store.saturating_sub(began.elapsed());
        step("store", left, async { tokio::time::timeout(left, store.close()).await.is_ok() }).await;
        tracing::info!(target: "glasshouse::app", { complete = finished }, "stopped");
        // The network work of it is the internal runtime's. Of its budget, ending what is left needs a little too.
        if !self.telemetry.flush(budgets.flush.saturating_sub(ENDING * 2)).await {
            tracing::warn!(
                target: "glasshouse::app",
                { step = "flush", budget_seconds = budgets.flush.as_secs_f64() },
                "the last spans and logs did not all arrive in time"
            );
        }
    }

    /// Ends the threads, the internal port's last, so that a stop that hangs can be looked at.
    fn end(self) {
        let Self { telemetry, internal, main, .. } = self;
        main.shutdown_background();
        // The last lines are written while it goes.
        drop(telemetry);
        internal.stop(ENDING);
    }
}

/// The next request to stop; never, if nobody is left who could ask.
async fn next(stops: &mut mpsc::Receiver<&'static str>) -> &'static str {
    match stops.recv().await {
        Some(who) => who,
        None => std::future::pending().await,
    }
}

/// One step of stopping, with its line in the log; says whether it was completed within its budget.
async fn step(step: &'static str, budget: Duration, work: impl Future<Output = bool>) -> bool {
    let started = Instant::now();
    let complete = work.await;
    let (took_seconds, budget_seconds) = (started.elapsed().as_secs_f64(), budget.as_secs_f64());
    if complete {
        tracing::info!(target: "glasshouse::app", { step, took_seconds, budget_seconds }, "stopping");
    } else {
        tracing::warn!(target: "glasshouse::app", { step, took_seconds, budget_seconds }, "stopping: the budget is over");
    }
    complete
}
