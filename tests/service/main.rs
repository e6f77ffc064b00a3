//! The service in this process, asked through its front door: what it does, and what it says of itself.

mod contract;
mod support;
mod traces;
