//! What admins did to which account: read page by page, kept for a time.
//!
//! Every act of an admin on an account, also on its own, leaves an [`Entry`], written in the transaction of the act
//! itself: there is none without the other. What other users do to their own accounts leaves none.

mod entry;
mod page;
mod store;

use std::{sync::Arc, time::Duration};

pub use entry::{Action, Actor, Entry, EntryId, Field};
pub use page::{Cursor, Page};
pub use store::AuditStore;

use super::{
    Clock,
    auth::Caller,
    users::{Error, Limit, UserId},
};

/// Settings of the trail: `[audit]`.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long an entry is kept.
    pub retention: Duration,
}

/// The trail.
pub struct Audit {
    store: Arc<dyn AuditStore>,
    config: Config,
    clock: Clock,
}

impl Audit {
    /// At most so many entries are removed at once, so that no sweep holds a lock for long.
    const SWEEP_LIMIT: u32 = 1000;

    /// Puts the parts together.
    #[must_use]
    pub fn new(store: Arc<dyn AuditStore>, config: Config, clock: Clock) -> Self {
        Self { store, config, clock }
    }

    /// One page of the trail, the newest first, of one subject if it is given; for admins.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Store`].
    pub async fn list(
        &self,
        caller: &Caller,
        subject: Option<UserId>,
        after: Option<Cursor>,
        limit: Limit,
    ) -> Result<Page, Error> {
        if !caller.is_admin() {
            return Err(Error::Forbidden);
        }
        // One more than asked for tells whether there is a next page, without counting.
        let mut entries = self.store.list(subject, after, limit.get() + 1).await?;
        let wanted = limit.get() as usize;
        let more = entries.len() > wanted;
        entries.truncate(wanted);
        let next = entries.last().filter(|_| more).map(|last| Cursor(last.id));
        Ok(Page { entries, next })
    }

    /// Removes entries that were kept long enough, and says how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sweep(&self) -> Result<u64, Error> {
        let until = self.clock.now() - self.config.retention;
        let mut swept = 0;
        loop {
            let removed = self.store.sweep(until, Self::SWEEP_LIMIT).await?;
            swept += removed;
            if removed < u64::from(Self::SWEEP_LIMIT) {
                return Ok(swept);
            }
        }
    }
}
