//! Work that nobody waits for.

mod clock;
mod sweep;

pub use sweep::Sweeper;
