//! Standard output as a log needs it.

use std::{
    io::{self, Write},
    os::fd::AsFd,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// Writes to standard output without a buffer, and waits for room where it does not block: another process that has the
/// same pipe or terminal (node, multiplexers, CI runners) may have switched it to non-blocking.
///
/// The standard library's handle keeps what could not be written until the next write, and takes a closed descriptor for
/// a success.
#[derive(Debug)]
pub struct Stdout(io::Stdout);

impl Stdout {
    /// This process's standard output.
    #[must_use]
    pub fn new() -> Self {
        Self(io::stdout())
    }
}

impl Default for Stdout {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let out = self.0.as_fd();
        loop {
            match rustix::io::write(out, bytes) {
                Ok(written) => return Ok(written),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&out, PollFlags::OUT)], None) {
                    // A reader that has gone away ends the wait too: the next write says so.
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
