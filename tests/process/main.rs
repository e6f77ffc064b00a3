//! The built executable, as an operator meets it: its exit codes, its faults, its signals, its first start.

mod program;
mod settings;
mod starting;
mod stopping;
mod telemetry;
