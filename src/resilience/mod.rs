//! How the service stays within what it can bear, and away from what is broken: knows neither HTTP nor SQL.

pub mod deadline;

pub use deadline::Deadline;
