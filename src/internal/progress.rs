//! A response body whose client has to take it: each piece that the client takes is counted as activity.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
};
use http_body::{Frame, SizeHint};

use super::connections::{Connection, Waiting};

/// The largest piece. A client that reads slowly takes one within the time that a connection may be silent.
const MAX_PIECE: usize = 64 * 1024;

pub(super) struct Progress {
    body: Body,
    /// What is left of the piece that the body gave.
    rest: Bytes,
    connection: Connection,
    /// Held while the body has nothing to give: then it is not the client that is silent.
    waiting: Option<Waiting>,
}

impl Progress {
    pub(super) const fn new(body: Body, connection: Connection) -> Self {
        Self { body, rest: Bytes::new(), connection, waiting: None }
    }
}

impl HttpBody for Progress {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        this.connection.touch();
        if this.rest.is_empty() {
            let polled = Pin::new(&mut this.body).poll_frame(context);
            if polled.is_pending() {
                this.waiting.get_or_insert_with(|| this.connection.begin_waiting());
            } else {
                this.waiting = None;
            }
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(MAX_PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
