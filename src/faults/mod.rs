//! Faults on purpose: what is slow, broken, leaking or stuck because somebody asked for it, to learn whether alerts,
//! tools and people notice.
//!
//! Nothing is on by itself, and what is on ends by itself. What a fault does is done by functions whose names say so:
//! whoever looks for the guilty code finds one of them.

mod fault;
mod inflicted;
mod lasting;
mod parse;
mod switchboard;

pub use inflicted::Injected;
pub use parse::{Known, MAX_BYTES};
pub use switchboard::{Refusal, Switchboard};

/// Settings of the faults: `[faults]`.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Whether faults can be switched on at all; never in production.
    pub allowed: bool,
}
