//! An outage that was asked for: exports fail as if no collector listened.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::client::SendError;

/// Whether exports fail. Cheap to clone; clones are the same outage.
#[derive(Clone, Default)]
pub struct Outage(Arc<Mutex<Option<Failed>>>);

/// Told of each export that fails for it.
type Failed = Box<dyn Fn() + Send>;

impl Outage {
    /// From now on every export fails; `failed` is told of each.
    pub fn begin(&self, failed: impl Fn() + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(failed));
    }

    /// From now on exports are tried again.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What an export has to fail with, if it has to.
    pub(super) fn refusal(&self) -> Result<(), SendError> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(failed) => {
                failed();
                Err(SendError::Failed("connection refused: a fault was injected".to_owned()))
            }
        }
    }
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outage")
    }
}
