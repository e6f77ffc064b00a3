//! What requests, statements and connections meet while a fault is on.

use std::{convert::Infallible, hash::BuildHasher, sync::atomic::Ordering, time::Duration};

use tokio::{sync::watch, time::timeout};

use super::{
    Switchboard,
    fault::{Effect, Fault, Place},
};

/// The error of who meets an `error`.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a fault was injected")]
pub struct Injected;

/// Ends when the faults do.
pub(super) type Over = watch::Receiver<()>;

impl Switchboard {
    /// What a request meets at that route; waits as long as a delay or a hang lasts. Ask [`Switchboard::is_on`] before.
    ///
    /// # Errors
    /// For an `error`.
    ///
    /// # Panics
    /// For a `panic`.
    pub async fn at_route(&self, method: &str, route: &str) -> Result<(), Injected> {
        self.at(|place| place.is_route(method, route)).await
    }

    /// What a statement of that `db.query.summary` meets; otherwise as [`Switchboard::at_route`].
    ///
    /// # Errors
    /// For an `error`.
    pub async fn at_statement(&self, summary: &str) -> Result<(), Injected> {
        self.at(|place| place.is_statement(summary)).await
    }

    /// Whether whoever wants a connection to the database now gets none.
    pub fn refuses_connection(&self) -> bool {
        let Some((faults, _)) = self.now() else { return false };
        let refuses = faults.contains(&Fault::RefusedPool);
        if refuses {
            self.count(Fault::RefusedPool.word());
        }
        refuses
    }

    async fn at(&self, is_there: impl Fn(&Place) -> bool) -> Result<(), Injected> {
        let Some((faults, mut over)) = self.now() else { return Ok(()) };
        for fault in &*faults {
            let Fault::Met { effect, place, share } = fault else { continue };
            if is_there(place) && self.happens(*share) {
                self.count(effect.word());
                match effect {
                    Effect::Delay(delay) => injected_delay(*delay, &mut over).await,
                    Effect::Hang => injected_hang(&mut over).await,
                    Effect::Error => return Err(Injected),
                    Effect::Panic => match injected_panic() {},
                }
            }
        }
        Ok(())
    }

    /// Decides by lot. A hash with a random key is random enough, and needs no generator that all requests share.
    fn happens(&self, share: f64) -> bool {
        let Some(inner) = self.inner() else { return false };
        let lot = inner.lots.hash_one(inner.drawn.fetch_add(1, Ordering::Relaxed));
        // The upper half has all that a share needs, and fits a float.
        let lot = f64::from(u32::try_from(lot >> 32).unwrap_or_default());
        lot < share * (f64::from(u32::MAX) + 1.0)
    }
}

async fn injected_delay(delay: Duration, over: &mut Over) {
    timeout(delay, over.changed()).await.ok();
}

async fn injected_hang(over: &mut Over) {
    over.changed().await.ok();
}

fn injected_panic() -> Infallible {
    panic!("a fault was injected")
}
