//! The end of a connection: what its client is still sending is read and forgotten for a while.
//!
//! A refusal is often written before the request's body was read. A socket that is closed with octets unread is reset,
//! and the reset takes the answer with it before the client has seen it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::receive_budget::Requests;

/// How long, and how much: a client that has not read our answer by then will not.
const TIME: Duration = Duration::from_secs(1);
const OCTETS: usize = 1024 * 1024;

/// A connection that is closed in peace: our side first, the rest when the client has closed its own.
pub struct Lingering {
    stream: TcpStream,
    requests: Arc<Requests>,
    closing: Option<Closing>,
}

struct Closing {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl Lingering {
    /// Wraps a connection whose received bytes are charged to `requests`.
    #[must_use]
    pub const fn new(stream: TcpStream, requests: Arc<Requests>) -> Self {
        Self { stream, requests, closing: None }
    }

    /// Ready once the client has closed its side, or has had its time.
    fn poll_forgotten(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let closing = self.closing.get_or_insert_with(|| Closing { until: Box::pin(sleep(TIME)), left: OCTETS });
        let mut forgotten = [0; 8192];
        while closing.left > 0 && closing.until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut forgotten);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    closing.left = closing.left.saturating_sub(buffer.filled().len());
                }
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.requests.count(buffer.filled().len() - before))
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        self.poll_forgotten(context).map(Ok)
    }
}
