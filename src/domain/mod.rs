//! What the service does and promises; it has never heard of HTTP or SQL.

pub mod audit;
pub mod auth;
mod clock;
mod fault;
mod kind;
mod page;
pub mod users;

pub use clock::Clock;
pub use fault::Fault;
pub use kind::Kind;
