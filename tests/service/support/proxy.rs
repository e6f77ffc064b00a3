//! A wire to a server that can be cut and mended: how a test takes the database away and gives it back.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// Carries bytes both ways, until it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    is_held: watch::Sender<bool>,
    wires: JoinSet<()>,
}

impl Proxy {
    /// A wire to that address.
    pub(crate) async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        #[expect(clippy::disallowed_methods, reason = "the proxy is no part of the service")]
        let accepting = tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let target = target.clone();
                let mut state = shared.lock().unwrap();
                // A connection that is dropped at once looks like a server that has just gone.
                if !state.is_cut {
                    let mut held = state.is_held.subscribe();
                    state.wires.spawn(async move {
                        let Ok(mut far) = TcpStream::connect(target).await else { return };
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
                            _ = async { held.wait_for(|is_held| *is_held).await.map(drop) } => {}
                        }
                        // Held, both ends stay open.
                        std::future::pending::<()>().await;
                    });
                }
            }
        });
        Self { address, state, accepting: accepting.abort_handle() }
    }

    /// The same URL, by way of this wire.
    pub(crate) fn url(&self, direct: &str) -> String {
        let mut url: url::Url = direct.parse().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// Ends every connection, and each new one at once.
    pub(crate) fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_cut = true;
        state.wires.abort_all();
    }

    /// Carries nothing any more, and ends nothing: what is on its way never arrives.
    pub(crate) fn hold(&self) {
        self.state.lock().unwrap().is_held.send_replace(true);
    }

    /// Carries new connections again.
    pub(crate) fn mend(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_cut = false;
        state.is_held.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
