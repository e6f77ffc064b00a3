//! What the domain asks of whoever keeps the trail.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Cursor, Entry};
use crate::domain::users::{StoreError, UserId};

/// Keeps the trail. Entries are written by [`crate::domain::users::UserStore`], each together with what it tells of.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// At most `limit` entries, the newest first, those after the cursor; only those of one subject, if it is given,
    /// whether it is still there or not.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn list(&self, subject: Option<UserId>, after: Option<Cursor>, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Removes at most `limit` entries that are as old as `until` or older, the oldest first, and says how many.
    ///
    /// # Errors
    /// Only those of the store itself.
    async fn sweep(&self, until: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
}
