//! Glasshouse: the user service you can see through.
//!
//! The map, in reading order:
//!
//! - [`domain`]: what the service does and promises; it has never heard of HTTP or SQL.
//! - [`http`]: the public port, where people bring it work.
//! - [`worker`]: work that nobody waits for.
//! - [`store`]: keeps users and sessions, in two engines behind one pair of traits.
//! - [`internal`]: the internal port: what the process is doing, from a thread of its own.
//! - [`telemetry`] and [`lifecycle`]: leaves that everyone may use.
//! - [`config`]: the settings, every fault at once.
//! - [`app`]: assembles all of them and runs them.
//!
//! Who may name whom is a table in ARCHITECTURE.md, and a test.

pub mod app;
pub mod config;
pub mod domain;
pub mod http;
pub mod internal;
pub mod lifecycle;
pub mod store;
pub mod telemetry;
pub mod worker;

/// The allocator whose numbers we show; see `telemetry`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(not(tokio_unstable))]
compile_error!(
    "glasshouse needs `--cfg tokio_unstable`, which .cargo/config.toml sets unless RUSTFLAGS in the environment \
     replaces it: unset RUSTFLAGS, or add `--cfg tokio_unstable -C force-frame-pointers=yes` to it"
);
