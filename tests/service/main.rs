//! The service in this process.

mod contract;
