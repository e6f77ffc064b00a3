//! What holds the memory: jemalloc samples allocations with their stacks, as long as somebody wants it to.
//!
//! There is one allocator in a process, so there is one switch, however many services a test has in it.

mod allocator;
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only there does the allocator write one"))]
mod dump;
mod sampling;
mod snapshot;
mod switch;

pub(super) use allocator::Lacking;
pub(super) use sampling::{is_on, now, switch_on_for_good};
pub(super) use snapshot::{Kind, Snapshot, Unready};
pub(super) use switch::routes;

/// There is one allocator in the process, and tests run at once.
#[cfg(test)]
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
