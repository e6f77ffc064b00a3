//! A request's deadline: the moment after which nobody waits for its answer, known to all that works for it.
//!
//! It belongs to the task, so nothing has to be handed down. Work that a request has started and does not wait for, and
//! work beside requests, has none: ceilings bound it.
//!
//! A write that was sent is different: it may be done whether or not its result is waited for. So its result is waited
//! for [`WRITE_GRACE`] beyond the deadline, and a request whose write was done is answered as done.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

/// How long after the deadline the result of a write that was sent is waited for.
pub const WRITE_GRACE: Duration = Duration::from_secs(2);

tokio::task_local! {
    static CURRENT: Deadline;
}

/// The time at which the wait for a request ends, and which side set it. Clones belong to the same request.
#[derive(Debug, Clone)]
pub struct Deadline {
    at: Instant,
    whose: Whose,
    is_write_sent: Arc<AtomicBool>,
}

/// Who set a deadline: a client that gives up early says nothing of our health, and must not be able to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The service's own limit.
    Ours,
    /// The client's wish, which was shorter.
    Client,
}

/// Which end came before the work's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Struck {
    /// The request's deadline.
    Deadline(Whose),
    /// The limit of this one piece of work.
    Ceiling,
}

impl Deadline {
    /// So long from now: the service's limit, or the client's wish if that is shorter.
    #[must_use]
    pub fn after(limit: Duration, wish: Option<Duration>) -> Self {
        let (left, whose) = match wish {
            Some(wish) if wish < limit => (wish, Whose::Client),
            _ => (limit, Whose::Ours),
        };
        Self { at: later(Instant::now(), left), whose, is_write_sent: Arc::default() }
    }

    /// That of the request which the current task works for, if it works for one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// How long there is still somebody who waits.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether the current task works for a request that has sent a write: its result must not be dropped unread.
    #[must_use]
    pub fn is_write_sent() -> bool {
        CURRENT.try_with(|deadline| deadline.is_write_sent.load(Relaxed)).unwrap_or(false)
    }

    /// Does the work for as long as somebody waits for it, and lets everything in it know how long that is. What has
    /// noticed by itself that the time is over is heard first. Work that has sent a write gets [`WRITE_GRACE`] more.
    ///
    /// # Errors
    /// [`Struck::Deadline`]; the work is dropped.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> Result<T, Struck> {
        let mut work = pin!(CURRENT.scope(self.clone(), work));
        if let Ok(done) = timeout_at(self.at, &mut work).await {
            return Ok(done);
        }
        if self.is_write_sent.load(Relaxed)
            && let Ok(done) = timeout_at(later(self.at, WRITE_GRACE), work).await
        {
            return Ok(done);
        }
        Err(Struck::Deadline(self.whose))
    }
}

/// Does the work for as long as it may take, and no longer than somebody waits for it. If nobody does any more, it does
/// not begin.
///
/// # Errors
/// Which end came first; the work is dropped.
pub fn within<T>(ceiling: Duration, work: impl Future<Output = T>) -> impl Future<Output = Result<T, Struck>> {
    until(ceiling, Duration::ZERO, work)
}

/// The same for a write whose effect is final once it was sent: its result is waited for [`WRITE_GRACE`] longer, and so is
/// the answer of its request.
///
/// # Errors
/// As for [`within`].
pub fn within_write<T>(ceiling: Duration, work: impl Future<Output = T>) -> impl Future<Output = Result<T, Struck>> {
    until(ceiling, WRITE_GRACE, async {
        CURRENT.try_with(|deadline| deadline.is_write_sent.store(true, Relaxed)).ok();
        work.await
    })
}

async fn until<T>(ceiling: Duration, grace: Duration, work: impl Future<Output = T>) -> Result<T, Struck> {
    let now = Instant::now();
    let ceiling = (later(now, ceiling), Struck::Ceiling);
    let (end, struck) = match Deadline::current() {
        Some(deadline) if deadline.at <= now => return Err(Struck::Deadline(deadline.whose)),
        Some(deadline) if later(deadline.at, grace) <= ceiling.0 => {
            (later(deadline.at, grace), Struck::Deadline(deadline.whose))
        }
        _ => ceiling,
    };
    timeout_at(end, work).await.map_err(|_| struck)
}

/// So long after: a time that no clock can show is as good as next year.
fn later(now: Instant, time: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_hours(24 * 365);
    now + time.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
    };

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn the_shorter_of_the_two_holds() {
        for (wish, most, whose) in [
            (None, LONG, Whose::Ours),
            (Some(LONG * 2), LONG, Whose::Ours),
            (Some(LONG), LONG, Whose::Ours),
            (Some(LONG / 2), LONG / 2, Whose::Client),
        ] {
            let deadline = Deadline::after(LONG, wish);
            assert_eq!(deadline.whose, whose);
            assert!(deadline.left() <= most && deadline.left() > most / 2, "{deadline:?}");
        }
    }

    #[tokio::test]
    async fn all_that_works_for_a_request_knows_when_it_ends() {
        assert!(Deadline::current().is_none());
        let deadline = Deadline::after(LONG, None);
        let at = deadline.at;
        assert_eq!(deadline.scope(async { Deadline::current().map(|current| current.at) }).await, Ok(Some(at)));
        assert!(Deadline::current().is_none());
    }

    #[tokio::test]
    async fn work_ends_at_whichever_comes_first() {
        assert_eq!(within(SHORT, pending::<()>()).await, Err(Struck::Ceiling));
        assert_eq!(within(SHORT, ready(1)).await, Ok(1));
        let deadline = Deadline::after(LONG, None);
        assert_eq!(deadline.scope(within(SHORT, pending::<()>())).await, Ok(Err(Struck::Ceiling)));
        let deadline = Deadline::after(SHORT, None);
        assert_eq!(deadline.scope(pending::<()>()).await, Err(Struck::Deadline(Whose::Ours)));
    }

    #[tokio::test]
    async fn what_notices_by_itself_that_the_time_is_over_is_heard() {
        for _ in 0..20 {
            let deadline = Deadline::after(LONG, Some(SHORT));
            let inside = deadline.scope(within(LONG, pending::<()>())).await;
            assert_eq!(inside, Ok(Err(Struck::Deadline(Whose::Client))));
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_does_not_begin() {
        let has_begun = Cell::new(false);
        let late = Deadline::after(Duration::ZERO, None);
        let work = late.scope(within(LONG, async { has_begun.set(true) }));
        assert_eq!(work.await, Ok(Err(Struck::Deadline(Whose::Ours))));
        assert!(!has_begun.get());
    }

    #[tokio::test]
    async fn result_of_a_sent_write_is_awaited_beyond_the_deadline() {
        let deadline = || Deadline::after(SHORT, None);
        let late = Struck::Deadline(Whose::Ours);
        let slow = || async {
            tokio::time::sleep(SHORT * 3).await;
            7
        };
        assert_eq!(deadline().scope(within(LONG, slow())).await, Ok(Err(late)));
        assert_eq!(deadline().scope(within_write(SHORT / 2, slow())).await, Ok(Err(Struck::Ceiling)));
        assert_eq!(within_write(LONG, slow()).await, Ok(7), "without a request there is no deadline");
        // What follows the write is waited for as well, but no further call begins.
        let both = async { (within_write(LONG, slow()).await, Deadline::is_write_sent(), within(LONG, slow()).await) };
        assert_eq!(deadline().scope(both).await, Ok((Ok(7), true, Err(late))));
        let began = Instant::now();
        assert_eq!(deadline().scope(within_write(LONG, pending::<()>())).await, Ok(Err(late)));
        assert!(began.elapsed() >= WRITE_GRACE);
    }

    #[tokio::test]
    async fn a_limit_beyond_all_clocks_is_no_panic() {
        let deadline = Deadline::after(Duration::MAX, Some(Duration::MAX));
        assert_eq!(deadline.scope(within(Duration::MAX, ready(1))).await, Ok(Ok(1)));
    }
}
