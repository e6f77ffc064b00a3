//! Bodies that count what passes through them, and know whether all of it did.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};

use super::account::Account;

/// How much of a request's body was read and until when, and whether somebody is waiting for more of it, or nobody ever
/// will.
#[derive(Debug)]
pub(super) struct Upload {
    began: Instant,
    bytes: AtomicU64,
    /// Microseconds from the beginning to the newest octets.
    took: AtomicU64,
    waiting: AtomicBool,
    abandoned: AtomicBool,
}

impl Default for Upload {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            bytes: AtomicU64::new(0),
            took: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        }
    }
}

impl Upload {
    /// Octets read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// How long the client took to send what has come.
    pub(super) fn took(&self) -> Duration {
        Duration::from_micros(self.took.load(Relaxed))
    }

    fn add(&self, octets: u64) {
        self.bytes.fetch_add(octets, Relaxed);
        self.took.store(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether it is the client's turn to send.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    /// Whether nobody will read the rest of it.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Relaxed)
    }
}

/// A request's body; what is read of it is counted.
pub(super) struct Received {
    body: Body,
    upload: Arc<Upload>,
    ended: bool,
}

impl Received {
    /// The same body, counted if there is anything to count.
    pub(super) fn counted(body: Body, upload: &Arc<Upload>) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Self { body, upload: Arc::clone(upload), ended: false })
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.upload.waiting.store(polled.is_pending(), Relaxed);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.upload.add(octets(frame)),
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.upload.abandoned.store(true, Relaxed);
        }
    }
}

/// An answer's body; the request's account is closed when it has been written, or dropped.
pub(super) struct Sent {
    body: Body,
    account: Account,
}

impl Sent {
    /// The same body, counted; an account of which nothing is left to write is closed at once.
    pub(super) fn counted(body: Body, mut account: Account) -> Body {
        // The body of an answer to HEAD is thrown away outside of us.
        if body.is_end_stream() || account.method == "HEAD" {
            account.complete();
            return body;
        }
        Body::new(Self { body, account })
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let sent = octets(frame);
                self.account.sent(sent);
            }
            Poll::Ready(None) => self.account.complete(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        // Who knows the length does not ask whether there is more.
        if self.body.is_end_stream() {
            self.account.complete();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn octets(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX))
}
