//! The internal port: what the process is doing, from a thread of its own.

mod config;

pub use config::Config;
