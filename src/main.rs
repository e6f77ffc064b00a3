//! The executable: command line, library, exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use glasshouse::app::{Arguments, perform};

fn main() -> ExitCode {
    match perform(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when this fails.
            io::stderr().write_all(failure.text().as_bytes()).ok();
            ExitCode::from(failure.exit_code())
        }
    }
}
