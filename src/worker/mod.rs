//! Work that nobody waits for.

mod sweep;

pub use sweep::Sweeper;
