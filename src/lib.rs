//! Glasshouse: the user service you can see through.

pub mod app;
pub mod config;
pub mod domain;
pub mod http;
pub mod internal;
pub mod lifecycle;
pub mod store;
pub mod telemetry;
pub mod worker;

#[cfg(not(tokio_unstable))]
compile_error!(
    "glasshouse needs `--cfg tokio_unstable`, which .cargo/config.toml sets unless RUSTFLAGS in the environment \
     replaces it: unset RUSTFLAGS, or add `--cfg tokio_unstable -C force-frame-pointers=yes` to it"
);
