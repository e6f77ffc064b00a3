//! What has no lock and no borrow checker to hold it: the service's own files, compiled with loom's atomics, and run once
//! for every order in which threads may see each other's writes under the memory model of Rust.
//!
//! A file comes here when it says in atomics what somebody else relies on. What only counts, and what is behind a lock,
//! has nothing to be found out.
#![cfg(test)]

mod asking;
mod claim;
mod polled;
