//! A wire to a database that can fall silent or lead elsewhere. Silence is what a firewall makes of a connection that it
//! has forgotten: nothing arrives any more, at either end, and nobody is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use url::Url;

/// Carries bytes both ways, until it is dropped.
pub(crate) struct Wire {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    silent: watch::Sender<bool>,
    carrying: AbortHandle,
}

impl Wire {
    /// To the server that this URL names.
    pub(crate) async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(place(url)));
        let silent = watch::Sender::new(false);
        let (leads, falls_silent) = (Arc::clone(&target), silent.subscribe());
        #[expect(clippy::disallowed_methods, reason = "the wire is no part of the service")]
        let carrying = tokio::spawn(async move {
            let mut wires = JoinSet::new();
            loop {
                let near = listener.accept().await.unwrap().0;
                let target = *leads.lock().unwrap();
                wires.spawn(carry(near, target, falls_silent.clone()));
            }
        });
        Self { address, target, silent, carrying: carrying.abort_handle() }
    }

    /// The same URL, by way of this wire.
    pub(crate) fn url(&self, direct: &str) -> String {
        let mut url: Url = direct.parse().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// Swallows all that is sent from now on, and later carries new connections only: the old ones never recover.
    pub(crate) fn fall_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    /// Leads new connections to another server.
    pub(crate) fn lead(&self, url: &str) {
        *self.target.lock().unwrap() = place(url);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut silent: watch::Receiver<bool>) {
    // Whose connection began in silence reaches nobody.
    let mut far = if *silent.borrow() { None } else { TcpStream::connect(target).await.ok() };
    match &mut far {
        None if !*silent.borrow() => return,
        None => {}
        Some(far) => tokio::select! {
            biased;
            _ = silent.wait_for(|silent| *silent) => {}
            _ = copy_bidirectional(&mut near, far) => return,
        },
    }
    while near.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    drop(near);
    // The far end is never told that the near one has gone.
    std::future::pending::<()>().await;
}

fn place(url: &str) -> SocketAddr {
    let url: Url = url.parse().unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432)).parse().unwrap()
}
