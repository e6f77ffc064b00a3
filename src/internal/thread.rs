//! The thread and the runtime that nothing of the service's own work ever runs on.

use std::{io, net::TcpListener, sync::mpsc, time::Duration};

use axum::Router;
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    accept::{AcceptMetrics, accept},
    stacks,
};
use crate::{
    connection::Listener,
    lifecycle::{Draining, drain},
    telemetry::{self, Metrics, console::leave_out_this_thread},
};

/// How long the last connections may take to be accepted and answered.
const LAST_RESPONSES: Duration = Duration::from_millis(150);

/// A running internal thread. It ends with the process, or when it is told to.
pub struct Thread {
    runtime: Handle,
    stop: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
    draining: Draining,
}

impl Thread {
    /// Starts it; nothing is served yet.
    ///
    /// # Errors
    /// When the system gives no thread, or no runtime for it.
    pub fn start() -> io::Result<Self> {
        // From now on a SIGPROF of another process does no harm. An error is the answer to the first profile.
        stacks::install_handler().ok();
        let (stop, asked) = oneshot::channel::<()>();
        let (ending, ended) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_start(leave_out_this_thread)
            .build()?;
        let handle = runtime.handle().clone();
        let (stopping, draining) = drain();
        std::thread::Builder::new().name("internal".to_owned()).spawn(move || {
            leave_out_this_thread();
            // Whoever drops the sender without a word means the same.
            runtime.block_on(async {
                asked.await.ok();
                // What takes longer is cut: clients of the internal port must not delay the stop.
                stopping.drain(LAST_RESPONSES).await;
            });
            runtime.shutdown_background();
            drop(ending);
        })?;
        Ok(Self { runtime: handle, stop, ended, draining })
    }

    /// Its runtime, for exporters and watchers.
    #[must_use]
    pub const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Serves the internal port from now on. To be called once for each registry.
    ///
    /// # Errors
    /// When the runtime cannot wait for the listener.
    pub fn serve(&self, listener: TcpListener, router: Router, metrics: &Metrics) -> io::Result<()> {
        let listener = {
            let _runtime = self.runtime.enter();
            Listener::new(listener)?
        };
        let accepting = accept(listener, router, AcceptMetrics::new(metrics), self.draining.clone());
        drop(telemetry::tasks::spawn_on(&self.runtime, "internal acceptor", accepting));
        Ok(())
    }

    /// Ends it, and waits until it has, at most for `budget`.
    pub fn stop(self, budget: Duration) {
        let Self { stop, ended, draining, .. } = self;
        drop(draining);
        stop.send(()).ok();
        // The thread never sends: that it is gone is the message.
        ended.recv_timeout(budget).ok();
    }
}
