//! The settings of the public port.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;

/// Settings of the public port: `[http]`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; nobody's by default.
    pub trusted_proxies: Vec<IpNet>,
    /// The origins whose pages may read answers (CORS): `https://app.example.com`; none by default.
    pub cors_origins: Vec<String>,
    /// How many connections are open at once; more wait in the kernel's queue.
    pub max_connections: u32,
    /// How long a client may take to send a request's headers.
    pub header_timeout: Duration,
    /// How long a request may take, from its headers to the answer's headers; then it is a 504.
    pub request_timeout: Duration,
    /// The longest accepted request body, in bytes; more is a 413.
    pub max_body_bytes: usize,
    /// Whether answers carry `Server-Timing` (never those below `/auth`).
    pub server_timing: bool,
    /// A slower request is a warning in the log: the latency objective's threshold.
    pub slow: Duration,
    /// How long a request waits for its turn while there is more to do than can be done; then it is a 503.
    pub max_wait: Duration,
}
