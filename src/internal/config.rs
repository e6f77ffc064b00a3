//! The settings of the internal port.

use std::{net::SocketAddr, time::Duration};

use secrecy::SecretString;

/// Settings of the internal port: `[internal]`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What has to be shown for everything but metrics and health on an address that is not loopback.
    /// None is accepted only on loopback.
    pub token: Option<SecretString>,
    /// Whether the token is required over loopback too.
    pub require_token_on_loopback: bool,
    /// Which host names may stand in `Host`, beside IP literals and `localhost`.
    pub hosts: Vec<String>,
    /// How long a worker of the main runtime may spend in one poll of a task, or all of them without coming to a new
    /// one, before that is a stall: captured, logged, and kept. Shorter than `stall_limit`.
    pub stall_after: Duration,
    /// How long the main runtime may be stuck before `/health/live` fails on this port.
    pub stall_limit: Duration,
    /// Whether allocations are sampled from the start.
    pub heap_sampling: bool,
    /// Whether tokio-console is on from the start, so that it knows of tasks that live as long as the service.
    pub console: bool,
}
