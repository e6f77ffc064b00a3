//! A listening socket: binding it, accepting from it, and closing it without resetting a completed connection.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout_at},
};

/// How many completed connections the kernel queues for us; it queues at most `net.core.somaxconn`. The standard
/// library asks for 128, which a burst of clients fills: each client beyond it waits for a second and tries again.
const BACKLOG: i32 = 4096;
/// How long to wait after a failure to accept. Without it a full table of files would spin a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// One line of the log covers the failures of this time.
const WARN_INTERVAL: Duration = Duration::from_mins(1);

/// Binds a socket and listens.
///
/// # Errors
/// When the system refuses the address.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let listener = StdListener::bind(address)?;
    // To listen again changes the length of the queue and nothing else.
    SockRef::from(&listener).listen(BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A listening socket on the current runtime.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// Failures to accept that no line of the log covers yet.
    failures: u64,
    warned: Option<Instant>,
}

impl Listener {
    /// Puts a socket of [`bind`] on the current runtime.
    ///
    /// # Errors
    /// When the runtime cannot wait for it.
    pub fn new(listener: StdListener) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::from_std(listener)?, failures: 0, warned: None })
    }

    /// The next connection. While the system refuses to give one, it calls `failed`, logs a warning, and tries again.
    pub async fn accept(&mut self, failed: impl Fn()) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    failed();
                    self.warn(&error);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn warn(&mut self, error: &io::Error) {
        self.failures += 1;
        if self.warned.is_some_and(|warned| warned.elapsed() < WARN_INTERVAL) {
            return;
        }
        self.warned = Some(Instant::now());
        let address = self.socket.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
        tracing::warn!(
            target: "glasshouse::connection",
            { error.message = %error, server.address = address, accept.failures = self.failures },
            "connection not accepted; if files have run out, raise the limit of open files or lower http.max_connections"
        );
        self.failures = 0;
    }

    /// Lets no new connection begin. A client that tries waits, and is refused once the socket is closed.
    ///
    /// A listening socket that is closed resets what waits in its queue, and a connection that completes between the
    /// last accept and the close is reset as well. So the kernel drops the first packet of each new handshake; handshakes
    /// that have begun complete. Where the kernel has no such filter, only that last moment stays.
    pub fn reject_new_connections(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = SockRef::from(&self.socket).attach_filter(&drop_new_handshakes()) {
            tracing::debug!(target: "glasshouse::connection", { error.message = %error }, "no filter for new connections");
        }
    }

    /// The next connection that the kernel has completed, or completes before `until`; none after that.
    pub async fn accept_completed(&mut self, until: Instant) -> Option<(TcpStream, SocketAddr)> {
        match timeout_at(until, self.socket.accept()).await {
            Ok(accepted) => accepted.ok(),
            // The runtime may not know yet that there is another one.
            Err(_) => self.accept_now().ok(),
        }
    }

    fn accept_now(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, _) = SockRef::from(&self.socket).accept()?;
        socket.set_nonblocking(true)?;
        let stream = TcpStream::from_std(socket.into())?;
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    }
}

/// A program for the kernel, which gives it each packet from its TCP header on: SYN without ACK is dropped.
#[cfg(target_os = "linux")]
fn drop_new_handshakes() -> [socket2::SockFilter; 5] {
    use socket2::SockFilter;
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS_OFFSET: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_OFFSET),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, time::Duration};

    use tokio::time::Instant;

    use super::{Listener, bind};

    #[tokio::test]
    async fn listener_queues_more_connections_than_the_default_backlog() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        // One that finds the queue full waits for a second and tries again: nothing accepts here, so it never succeeds.
        let queued: Vec<_> =
            (0..300).map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(30)).unwrap()).collect();
        assert_eq!(queued.len(), 300);
    }

    #[tokio::test]
    async fn completed_connections_are_accepted_after_new_ones_are_rejected() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let mut listener = Listener::new(bind(address.parse().unwrap()).unwrap()).unwrap();
            let address = listener.socket.local_addr().unwrap();
            let completed = TcpStream::connect(address).unwrap();
            listener.reject_new_connections();
            let late = std::thread::spawn(move || TcpStream::connect(address).map(drop));
            let (accepted, peer) = listener.accept_completed(Instant::now()).await.unwrap();
            assert_eq!(peer, completed.local_addr().unwrap());
            assert!(listener.accept_completed(Instant::now() + Duration::from_millis(50)).await.is_none());
            drop((listener, accepted));
            #[cfg(target_os = "linux")]
            assert_eq!(late.join().unwrap().unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
            #[cfg(not(target_os = "linux"))]
            drop(late.join());
        }
    }
}
