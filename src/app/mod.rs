//! Assembles the parts and runs them.

pub mod command;
