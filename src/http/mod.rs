//! The public port: the user API, its health and its contract.

mod config;

pub use config::Config;
