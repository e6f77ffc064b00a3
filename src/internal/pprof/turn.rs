//! Who may measure, of those who cannot at the same time.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::timeout,
};

use super::Refusal;

/// How long who takes over waits for the other to let go. What has been measured is written out first.
const PATIENCE: Duration = Duration::from_secs(20);

/// One place, for one at a time.
pub(super) struct Turns {
    place: Semaphore,
    /// How many have come by force; who came before the last of them has to leave.
    forced: watch::Sender<u64>,
}

/// Leave to measure, until it is dropped.
pub(super) struct Turn {
    _place: SemaphorePermit<'static>,
    ticket: u64,
    forced: watch::Receiver<u64>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { place: Semaphore::const_new(1), forced: watch::Sender::new(0) }
    }

    /// The place, if it is free; by force also from who has it.
    ///
    /// # Errors
    /// 409 when it is taken, or, by force, when who has it is in the middle of its answer and does not end.
    pub(super) async fn take(&'static self, force: bool) -> Result<Turn, Refusal> {
        let mut ticket = *self.forced.borrow();
        if force {
            self.forced.send_modify(|forced| {
                *forced += 1;
                ticket = *forced;
            });
        }
        let place = if force {
            timeout(PATIENCE, self.place.acquire()).await.ok().and_then(Result::ok)
        } else {
            self.place.try_acquire().ok()
        };
        let place = place.ok_or_else(|| {
            let reason = "another profile is being taken; force=true takes over from it";
            Refusal::new(StatusCode::CONFLICT, reason)
        })?;
        Ok(Turn { _place: place, ticket, forced: self.forced.subscribe() })
    }
}

impl Turn {
    /// Waits until somebody takes over, at once if that has happened already. It may never.
    pub(super) async fn taken_over(&mut self) -> Refusal {
        // The sender is as `'static` as the place.
        self.forced.wait_for(|forced| *forced > self.ticket).await.ok();
        Refusal::new(StatusCode::CONFLICT, "another request took over with force=true, so this profile was given up")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use futures_util::FutureExt;

    use super::Turns;

    #[tokio::test]
    async fn the_last_who_comes_by_force_has_it() {
        static TURNS: LazyLock<Turns> = LazyLock::new(Turns::new);
        let mut first = TURNS.take(false).await.unwrap();
        assert!(TURNS.take(false).await.is_err());
        assert!(first.taken_over().now_or_never().is_none());
        let mut second = Box::pin(TURNS.take(true));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(first.taken_over().now_or_never().is_some());
        let mut third = Box::pin(TURNS.take(true));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        let mut second = second.await.unwrap_or_else(|_| panic!("it is free"));
        assert!(second.taken_over().now_or_never().is_some(), "the third came before it began");
        drop(second);
        let mut third = third.await.unwrap_or_else(|_| panic!("it is free"));
        assert!(third.taken_over().now_or_never().is_none());
        drop(third);
        assert!(TURNS.take(false).await.is_ok());
    }
}
