//! The order of starting, of draining, of stopping.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{sync::mpsc, time::Instant};

use super::{App, INTERNAL_BUDGET, Logging, stack::Stack};
use crate::{
    domain::Clock,
    http::{self, Api, ConnectionMetrics},
    internal::{self, Shown, Watch},
    lifecycle::{Drain, Draining, Latch, Readiness, drain},
    store::Store,
    telemetry::{self, Chain},
    worker,
};

/// What has been started and has to be stopped.
struct Running {
    store: Store,
    serving: Latch,
    accepting: Drain,
    working: Drain,
}

impl App {
    /// Runs until somebody asks to stop, then stops in order; a second request stops at once. Blocks.
    ///
    /// # Errors
    /// When a part cannot be started, or stopping was cut short.
    pub fn run(
        self,
        clock: Clock,
        stops: impl FnOnce() -> std::io::Result<mpsc::Receiver<&'static str>>,
    ) -> anyhow::Result<()> {
        let dispatch = self.telemetry.dispatch();
        let _log = (self.logging == Logging::Threads).then(|| tracing::dispatcher::set_default(dispatch));
        let main = self.main.handle().clone();
        let outcome = main.block_on(async {
            let mut stops = stops().context("cannot listen for signals")?;
            let running = self.start(&clock).await?;
            let who = stops.recv().await.unwrap_or("the owner");
            tokio::select! {
                outcome = self.stop(running, who) => outcome,
                who = next(&mut stops) => {
                    tracing::warn!(target: "glasshouse::app", { signal = who }, "asked again: stopping at once");
                    Err(anyhow::anyhow!("stopping was cut short"))
                }
            }
        });
        // The flush's own network work runs on the internal runtime, so this thread may wait for it; the internal port
        // goes last, so that a stop that hangs can be looked at.
        let (budget, started) = (self.settings.shutdown.flush, Instant::now());
        let complete = match outcome {
            Ok(()) => self.telemetry.flush(budget),
            Err(_) => self.telemetry.flush_log(INTERNAL_BUDGET),
        };
        if !complete {
            tracing::warn!(
                target: "glasshouse::app",
                { step = "flush", took_seconds = started.elapsed().as_secs_f64() },
                "the last spans and logs did not all arrive in time"
            );
        }
        self.main.shutdown_background();
        self.telemetry.flush_log(INTERNAL_BUDGET);
        self.internal.stop(INTERNAL_BUDGET);
        outcome
    }

    async fn start(&self, clock: &Clock) -> anyhow::Result<Running> {
        let Self { settings, telemetry, .. } = self;
        let metrics = &telemetry.metrics;
        for warning in &settings.warnings {
            tracing::warn!(target: "glasshouse::app", "{warning}");
        }
        let readiness = Readiness::new(metrics);
        let watch = Watch::start(&self.internal, self.main.handle().clone(), settings.internal.stall_limit, metrics);
        let shown = Shown {
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            watch,
            log_filter: telemetry.log_filter.clone(),
            settings: settings.redacted(),
        };
        let internal_router = internal::router(&settings.internal, shown);
        self.internal.serve(self.internal_port.try_clone()?, internal_router)?;

        let store = Store::open(&settings.store, telemetry.tracer.clone(), metrics).await?;
        let stack = Stack::build(settings, &store, clock, metrics)?;
        let (serving, migrated) = (readiness.latch("http"), readiness.latch("migrations"));
        let asked = store.clone();
        readiness.check("store", settings.store.ping_timeout, move || asked.ping());

        let (accepting, when_to_stop_accepting) = drain();
        let (working, when_to_stop_working) = drain();
        let api = Api {
            users: stack.users,
            auth: Arc::clone(&stack.auth),
            readiness,
            tracer: telemetry.tracer.clone(),
            config: settings.http.clone(),
            force_trace_token: settings.telemetry.force_trace_token.clone(),
        };
        self.serve(api, when_to_stop_accepting)?;
        serving.release();
        let tracer = telemetry.tracer.clone();
        let migrating = self.migrate(store.clone(), migrated);
        telemetry::spawn("sweeper", async move {
            let mut stop = when_to_stop_working.clone();
            tokio::select! {
                () = stop.asked() => return,
                () = migrating => {}
            }
            worker::sweep(stack.auth, tracer, when_to_stop_working).await;
        });
        tracing::info!(
            target: "glasshouse::app",
            {
                server.address = %self.public_address()?,
                internal.address = %self.internal_address()?,
                db.system.name = settings.store.url.scheme(),
                service.revision = telemetry::BUILD.revision
            },
            "started"
        );
        Ok(Running { store, serving, accepting, working })
    }

    fn serve(&self, api: Api, draining: Draining) -> anyhow::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.public_port.try_clone()?)?;
        let metrics = &self.telemetry.metrics;
        let connections = ConnectionMetrics::new(metrics);
        let config = api.config.clone();
        let router = http::router(api, metrics);
        telemetry::spawn("acceptor", http::serve(listener, router, config, draining, connections));
        Ok(())
    }

    /// Migrates, if the settings say so, as soon as the database is there; the latch is released afterwards.
    fn migrate(&self, store: Store, migrated: Latch) -> impl Future<Output = ()> + Send + 'static {
        let wanted = self.settings.store.migrate;
        async move {
            let mut pause = Duration::from_millis(100);
            while wanted {
                match store.migrate_up().await {
                    Ok(()) => break,
                    Err(error) => tracing::warn!(
                        target: "glasshouse::app",
                        { error.message = %Chain(&error), retry_seconds = pause.as_secs_f64() },
                        "the database cannot be migrated yet"
                    ),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            migrated.release();
        }
    }

    async fn stop(&self, running: Running, who: &'static str) -> anyhow::Result<()> {
        let budgets = &self.settings.shutdown;
        let Running { store, serving, accepting, working } = running;
        tracing::info!(target: "glasshouse::app", { signal = who }, "asked to stop");
        serving.hold();
        step("notice", budgets.notice, async {
            tokio::time::sleep(budgets.notice).await;
            true
        })
        .await;
        let finished = step("requests", budgets.grace, accepting.drain(budgets.grace)).await;
        step("worker", budgets.store, working.drain(budgets.store)).await;
        step("store", budgets.store, async { tokio::time::timeout(budgets.store, store.close()).await.is_ok() }).await;
        tracing::info!(target: "glasshouse::app", { complete = finished }, "stopped");
        Ok(())
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
