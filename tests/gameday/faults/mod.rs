//! Every fault there is, by the group of the alerts that it is for.

mod database;
mod process;
mod requests;
mod runtime;
mod security;
mod spending;
mod telemetry;

use crate::fault::Fault;

/// All of them; those that take longest first, so that no lane is left with one at the end.
pub(crate) fn all() -> impl Iterator<Item = &'static Fault> {
    let groups = [
        spending::FAULTS,
        runtime::FAULTS,
        requests::FAULTS,
        process::FAULTS,
        security::FAULTS,
        database::FAULTS,
        telemetry::FAULTS,
    ];
    groups.into_iter().flatten()
}
