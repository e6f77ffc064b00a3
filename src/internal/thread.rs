//! The thread and the runtime that nothing of the service's own work ever runs on.

use std::{io, net::TcpListener, sync::mpsc, time::Duration};

use axum::Router;
use tokio::{runtime::Handle, sync::oneshot};

use super::accept::accept;
use crate::telemetry::{self, console::leave_out_this_thread};

/// A running internal thread. It ends with the process, or when it is told to.
pub struct Thread {
    runtime: Handle,
    stop: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Thread {
    /// Starts it; nothing is served yet.
    ///
    /// # Errors
    /// When the system gives no thread, or no runtime for it.
    pub fn start() -> io::Result<Self> {
        let (stop, asked) = oneshot::channel::<()>();
        let (ending, ended) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_start(leave_out_this_thread)
            .build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new().name("internal".to_owned()).spawn(move || {
            leave_out_this_thread();
            // Whoever drops the sender without a word means the same.
            runtime.block_on(asked).ok();
            // Connections under way are cut: whoever looks on is not what the process lives for.
            runtime.shutdown_background();
            drop(ending);
        })?;
        Ok(Self { runtime: handle, stop, ended })
    }

    /// Its runtime, for exporters and watchers.
    #[must_use]
    pub const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Serves the internal port from now on.
    ///
    /// # Errors
    /// When the listener cannot be used without blocking.
    pub fn serve(&self, listener: TcpListener, router: Router) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = {
            let _runtime = self.runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        drop(telemetry::tasks::spawn_on(&self.runtime, "internal acceptor", accept(listener, router)));
        Ok(())
    }

    /// Ends it, and waits until it has, at most for `budget`.
    pub fn stop(self, budget: Duration) {
        self.stop.send(()).ok();
        // The thread never sends: that it is gone is the message.
        self.ended.recv_timeout(budget).ok();
    }
}
