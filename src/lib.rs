//! Glasshouse: the user service you can see through.
//!
//! The map, in reading order:
//!
//! - [`domain`]: what the service does and promises; it has never heard of HTTP or SQL.
//! - [`http`]: the public port, where people bring it work.
//! - [`worker`]: work that nobody waits for.
//! - [`store`]: keeps users and sessions, in two engines behind one pair of traits.
//! - [`internal`]: the internal port: what the process is doing, from a thread of its own.
//! - [`telemetry`], [`lifecycle`], [`resilience`] and [`faults`]: leaves that everyone may use.
//! - [`connection`]: listening, accepting and the limits of one connection, for both ports.
//! - [`config`]: the settings, every fault at once.
//! - [`app`]: assembles all of them and runs them.
//!
//! Who may name whom is a table in ARCHITECTURE.md, and a test.

pub mod app;
pub mod config;
pub mod connection;
pub mod domain;
pub mod faults;
pub mod http;
pub mod internal;
pub mod lifecycle;
pub mod resilience;
pub mod store;
pub mod telemetry;
pub mod worker;

/// The allocator whose numbers we show; see `telemetry`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How the allocator begins: able to sample the heap, and not doing it until `internal` says so. The variable
/// `MALLOC_CONF` of the environment counts more, option by option.
///
/// Sampled is about one allocation in 512 KiB. What was allocated is counted as well as what is still there, which keeps
/// a kilobyte or two for each place in the code that was seen to allocate, until sampling ends.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "jemalloc looks for a pointer to C text by this name, before there is any other way")]
// SAFETY: nothing else is called that, the reference is as wide as a pointer, and the text ends with a zero.
#[unsafe(export_name = "malloc_conf")]
pub static MALLOC_CONF: &[u8; 62] = b"prof:true,prof_active:false,lg_prof_sample:19,prof_accum:true\0";

#[cfg(not(tokio_unstable))]
compile_error!(
    "glasshouse needs `--cfg tokio_unstable`, which .cargo/config.toml sets unless RUSTFLAGS in the environment \
     replaces it: unset RUSTFLAGS, or add `--cfg tokio_unstable -C force-frame-pointers=yes` to it"
);
