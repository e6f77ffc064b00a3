//! A distance to the database: a proxy that hands on each answer after a while, as a network does.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until},
};
use url::Url;

/// Starts the proxy; returns the URL that leads through it.
#[expect(clippy::disallowed_methods, reason = "the proxy is no part of the service")]
pub(crate) async fn start(database: &str, delay: Duration) -> String {
    let mut url: Url = database.parse().expect("a URL");
    let host = url.host_str().expect("a host").parse().expect("an address");
    let server = SocketAddr::new(host, url.port().expect("a port"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    url.set_port(Some(listener.local_addr().expect("an address").port())).expect("the URL has a host");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(forward(client, server, delay));
        }
    });
    url.into()
}

async fn forward(client: TcpStream, server: SocketAddr, delay: Duration) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        copy(&mut from_client, &mut to_server).await.ok();
        to_server.shutdown().await.ok();
    };
    let (delayed, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let answers = async move {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut chunk).await {
            if delayed.send((Instant::now() + delay, chunk[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let delivery = async move {
        while let Some((at, chunk)) = due.recv().await {
            sleep_until(at).await;
            if to_client.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(requests, answers, delivery);
}
