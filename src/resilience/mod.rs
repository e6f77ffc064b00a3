//! How the service stays within what it can bear, and away from what is broken: knows neither HTTP nor SQL.

pub mod backoff;
pub mod breaker;
pub mod circuit;
pub mod retry;
