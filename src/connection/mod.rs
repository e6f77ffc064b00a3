//! Connections to either port: listening, accepting, and what one connection may send.

mod lingering;
mod listener;
mod open_files;
mod receive_budget;

use std::time::Duration;

use hyper_util::{rt::TokioTimer, server::conn::auto::Builder};

pub use lingering::Lingering;
pub use listener::{Listener, bind};
pub use open_files::OpenFiles;
pub use receive_budget::{Requests, Running};

/// The most header lines of a request.
const MAX_HEADERS: usize = 64;
/// The most bytes of all header lines of a request.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;
/// The most streams that a client may begin and reset before a handler has seen them (CVE-2023-44487).
const MAX_RESETS: usize = 32;
/// How many bytes of its bodies a client may send on one HTTP/2 stream, and on one connection, before they are read.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// How often a silent HTTP/2 client is pinged, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A server for HTTP/1.1 and HTTP/2 without TLS, with every bound that hyper has. `executor` runs the requests of
/// HTTP/2, at most `max_streams` of one connection at once.
pub fn bounded_server<E>(executor: E, header_timeout: Duration, max_streams: u32) -> Builder<E> {
    let mut builder = Builder::new(executor);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(max_streams)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// What one request can need on the wire: its headers, and a body of at most `max_body_bytes` in small pieces.
pub fn bytes_per_request(max_body_bytes: usize) -> u64 {
    let most = max_body_bytes.saturating_mul(8).saturating_add(MAX_HEADER_BYTES);
    u64::try_from(most).unwrap_or(u64::MAX)
}
