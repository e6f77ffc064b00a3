//! Opening connections to PostgreSQL: picks an address that can be reached, and checks the new connection.

use std::{borrow::Cow, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use sqlx::{
    ConnectOptions, Executor, Row,
    postgres::{PgConnectOptions, PgConnection, PgSslMode},
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{ASK_CLIENT_CHECK, CLIENT_CHECK};

/// Delay before the next address is tried in parallel: the "Connection Attempt Delay" of RFC 8305, section 5.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried at most.
const MAX_ADDRESSES: usize = 8;

/// Opens connections to one server, directly or through a pooler.
#[derive(Debug, Clone)]
pub struct Connector {
    pub(in crate::store) options: PgConnectOptions,
    /// Whether a pooler is known to be in between: its connections have no settings of their own.
    pub(in crate::store) is_pooled: bool,
    /// Limit of opening one connection.
    pub(in crate::store) timeout: Duration,
}

impl Connector {
    /// Opens a connection.
    ///
    /// # Errors
    /// What the server or the way to it answers; [`Swallowed`] if an unknown pooler is in between.
    pub(in crate::store) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = with_reachable_address(&self.options).await?.connect().await?;
        if !self.is_pooled {
            reject_unknown_pooler(&mut connection).await?;
        }
        Ok(connection)
    }
}

/// A pooler between us and the server may swallow what a connection begins with, and hands the server's connections
/// round. What one of its clients prepares there under a name, another one may run instead of its own statement: so a
/// pooler that the settings do not mention is not used.
async fn reject_unknown_pooler(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let actual: String = connection.fetch_one(ASK_CLIENT_CHECK).await?.try_get(0)?;
    if actual == CLIENT_CHECK { Ok(()) } else { Err(sqlx::Error::Configuration(Box::new(Swallowed))) }
}

/// The server did not get the settings of the connection.
#[derive(Debug, thiserror::Error)]
#[error("connection settings were not applied; if a pooler is in front of the server, store.pooler must be true")]
struct Swallowed;

/// Returns the options with an address that accepts connections, where the name has several.
///
/// The driver tries addresses one after the other, each until the kernel gives up after minutes, so an address that drops
/// packets would use up the whole connect timeout. With `verify-full` the name is what the certificate is compared
/// with, so it stays.
async fn with_reachable_address(options: &PgConnectOptions) -> io::Result<Cow<'_, PgConnectOptions>> {
    if options.get_socket().is_some() || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        return Ok(Cow::Borrowed(options));
    }
    let mut addresses: Vec<SocketAddr> = lookup_host((options.get_host(), options.get_port())).await?.collect();
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    if addresses.len() < 2 {
        return Ok(Cow::Borrowed(options));
    }
    let reachable = first_reachable(&addresses).await?;
    if reachable == addresses[0] {
        return Ok(Cow::Borrowed(options));
    }
    Ok(Cow::Owned(options.clone().host(&reachable.ip().to_string())))
}

/// Returns the first address that completes a TCP handshake, by "happy eyeballs" (RFC 8305): addresses are tried in
/// their order, and the next one begins when one has failed or has not answered for [`ATTEMPT_DELAY`].
async fn first_reachable(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    let mut untried = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = untried.next() {
            attempts.push(async move { TcpStream::connect(address).await.map(|_| address) });
        }
        let finished = if untried.len() == 0 {
            attempts.next().await
        } else {
            let Ok(finished) = timeout(ATTEMPT_DELAY, attempts.next()).await else { continue };
            finished
        };
        match finished {
            Some(Ok(address)) => return Ok(address),
            Some(Err(error)) => failure = error,
            None => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::net::{TcpListener, TcpSocket};

    use super::first_reachable;

    /// An address whose accept queue is full: the kernel drops further SYNs, as a firewall does.
    async fn unanswering_address() -> (SocketAddr, Vec<tokio::net::TcpStream>, TcpListener) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(std::time::Duration::from_millis(300), tokio::net::TcpStream::connect(address)).await
        {
            queued.push(stream);
        }
        (address, queued, listener)
    }

    #[tokio::test]
    async fn connect_skips_address_that_drops_syn() {
        let (dead, _queued, _listener) = unanswering_address().await;
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive_address = alive.local_addr().unwrap();
        assert_eq!(first_reachable(&[dead, alive_address]).await.unwrap(), alive_address);
    }

    #[tokio::test]
    async fn connect_skips_address_that_refuses_and_reports_refusal_of_all() {
        let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive_address = alive.local_addr().unwrap();
        assert_eq!(first_reachable(&[refused, alive_address]).await.unwrap(), alive_address);
        let error = first_reachable(&[refused, refused]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
