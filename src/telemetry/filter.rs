//! Judging a log filter before anything is set up.

use tracing_subscriber::EnvFilter;

/// What is wrong with a log filter, if anything: it is what `EnvFilter` reads, such as `info,glasshouse=debug`.
#[must_use]
pub fn log_filter_fault(text: &str) -> Option<String> {
    EnvFilter::builder().parse(text).err().map(|fault| fault.to_string())
}
