//! The decisions of a gate, without waiting or waking: which arrival begins, which waits and for how long, which is refused,
//! and which refusal is immediate.
//!
//! The queue is bounded by the wait that a new arrival has to expect, not by a number of places: the measured rate of
//! completions says how long that is. Requests wait in the order of arrival, because the queue never grows so long that
//! the oldest would be answered too late. While it is a burst they may wait longer than in lasting overload.
//!
//! A refusal is cheap, but not free, and clients that retry at once ask for thousands of them a second. So only one
//! refusal for ten completions is immediate; [`super::HeldRefusals`] holds the others back.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::concurrency::{Bounds, Concurrency, Outcome};

/// How many may wait, and with how many bytes of bodies: each keeps its request in memory.
const PLACES: usize = 2048;
const BODY_BYTES: usize = 16 * 1024 * 1024;

/// Immediate refusals for each completion.
const IMMEDIATE: f64 = 0.1;

/// The share of the expected wait that may be waited: an estimate is never exact, and a request that is refused after it has
/// waited gained nothing.
const EXPECTED: f64 = 0.75;

/// When requests have had to wait for so long, it is no burst,
const STANDING: Duration = Duration::from_millis(100);

/// until none has had to wait for so long. A short queue is empty again and again, also in lasting overload.
const CALM: Duration = Duration::from_secs(1);

/// How long an arrival may have to wait.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// In lasting overload.
    pub standing: Duration,
    /// In a burst.
    pub burst: Duration,
}

/// Pure: times come in, decisions go out. `T` is what is woken when its turn comes.
pub(super) struct Queue<T> {
    concurrency: Concurrency,
    waits: Waits,
    used: usize,
    waiting: VecDeque<(T, usize)>,
    /// Bytes of the bodies of all that wait.
    bytes: usize,
    /// When the first and the last request of this overload had to wait.
    overload: Option<(Instant, Instant)>,
    /// Immediate refusals that are left, and when some were last added.
    immediate: (f64, Instant),
}

/// What becomes of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Begins,
    /// It is to be pushed, and given up after that time.
    Waits(Duration),
    Refused,
}

impl<T> Queue<T> {
    pub(super) const fn new(bounds: Bounds, waits: Waits, now: Instant) -> Self {
        Self {
            concurrency: Concurrency::new(bounds, now),
            waits,
            used: 0,
            waiting: VecDeque::new(),
            bytes: 0,
            overload: None,
            immediate: (1.0, now),
        }
    }

    /// How many requests may be worked on at once.
    pub(super) const fn limit(&self) -> usize {
        self.concurrency.limit()
    }

    #[cfg(test)]
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// Decides on an arrival with a body of so many bytes whose client waits for so long. `is_gone` says which of those that
    /// wait will not begin any more.
    pub(super) fn arrive(
        &mut self,
        now: Instant,
        bytes: usize,
        left: Duration,
        is_gone: impl Fn(&T) -> bool,
    ) -> Arrival {
        // The oldest are gone first, as a rule; a look at all of them would cost each refusal the length of the queue.
        while self.waiting.front().is_some_and(|(turn, _)| is_gone(turn)) {
            self.pop();
        }
        if self.waiting.is_empty() && self.used < self.limit() {
            self.begin();
            return Arrival::Begins;
        }
        let wait = self.wait_at(now).min(left);
        let has_room = self.waiting.len() < PLACES
            && self.bytes + bytes <= BODY_BYTES
            && self.concurrency.expected_wait(self.waiting.len() + 1) <= wait.mul_f64(EXPECTED);
        if has_room { Arrival::Waits(wait) } else { Arrival::Refused }
    }

    /// Puts an arrival that waits at the end.
    pub(super) fn push(&mut self, now: Instant, turn: T, bytes: usize) {
        let first =
            self.overload.filter(|(_, last)| now.saturating_duration_since(*last) < CALM).map(|(first, _)| first);
        self.overload = Some((first.unwrap_or(now), now));
        self.waiting.push_back((turn, bytes));
        self.bytes += bytes;
    }

    /// Work that began then has ended now.
    pub(super) fn ended(&mut self, (began, now): (Instant, Instant), outcome: Outcome) {
        self.used -= 1;
        self.concurrency.ended((began, now), outcome, self.used);
    }

    /// The one whose turn it is; it counts as begun.
    pub(super) fn next(&mut self) -> Option<T> {
        if self.used >= self.limit() {
            return None;
        }
        let turn = self.pop()?;
        self.begin();
        Some(turn)
    }

    fn pop(&mut self) -> Option<T> {
        let (turn, bytes) = self.waiting.pop_front()?;
        self.bytes -= bytes;
        Some(turn)
    }

    /// The last turn was not taken: it is as if it had never begun.
    pub(super) const fn undo(&mut self) {
        self.used -= 1;
    }

    /// Whether a refusal is immediate, and not held back.
    pub(super) fn is_immediate(&mut self, now: Instant) -> bool {
        let (left, added) = self.immediate;
        let rate = IMMEDIATE * self.concurrency.rate();
        // At most those of one second add up, and at least one.
        let left = (left + now.saturating_duration_since(added).as_secs_f64() * rate).min(rate.max(1.0));
        let is_immediate = left >= 1.0;
        self.immediate = (if is_immediate { left - 1.0 } else { left }, now);
        is_immediate
    }

    fn begin(&mut self) {
        self.used += 1;
        self.concurrency.used(self.used);
    }

    fn wait_at(&self, now: Instant) -> Duration {
        let is_standing = self.overload.is_some_and(|(first, last)| {
            now.saturating_duration_since(first) >= STANDING && now.saturating_duration_since(last) < CALM
        });
        if is_standing { self.waits.standing } else { self.waits.burst }
    }

    /// When the first and the last request of this overload had to wait.
    #[cfg(test)]
    pub(super) const fn overload(&mut self) -> &mut Option<(Instant, Instant)> {
        &mut self.overload
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Arrival, BODY_BYTES, Bounds, CALM, PLACES, Queue, STANDING, Waits};

    const LONG: Duration = Duration::from_hours(24);

    /// One at a time, each of which takes a millisecond: a thousand in a second.
    fn queue(now: Instant) -> Queue<bool> {
        let bounds = Bounds { min: 1, start: 1, max: 1, target: Duration::from_millis(1) };
        let mut queue = Queue::new(bounds, Waits { standing: LONG, burst: LONG }, now);
        assert_eq!(queue.arrive(now, 0, LONG, |gone| *gone), Arrival::Begins);
        queue
    }

    #[test]
    fn queue_is_bounded_in_places_in_bytes_and_by_the_deadline() {
        let now = Instant::now();
        let mut many = queue(now);
        for _ in 0..PLACES {
            assert_eq!(many.arrive(now, 0, LONG, |gone| *gone), Arrival::Waits(LONG));
            many.push(now, false, 0);
        }
        assert_eq!(many.arrive(now, 0, LONG, |gone| *gone), Arrival::Refused);

        let mut large = queue(now);
        large.push(now, false, BODY_BYTES - 1);
        assert_eq!(large.arrive(now, 1, LONG, |gone| *gone), Arrival::Waits(LONG));
        assert_eq!(large.arrive(now, 2, LONG, |gone| *gone), Arrival::Refused);
        assert_eq!(large.arrive(now, 2, LONG, |_| true), Arrival::Waits(LONG), "what is gone takes no room");

        // Three milliseconds are waited for one that takes four, since an estimate is never exact.
        let left = Duration::from_millis(4);
        let mut late = queue(now);
        for _ in 0..3 {
            assert_eq!(late.arrive(now, 0, left, |gone| *gone), Arrival::Waits(left));
            late.push(now, false, 0);
        }
        assert_eq!(late.arrive(now, 0, left, |gone| *gone), Arrival::Refused);
    }

    #[test]
    fn burst_is_over_when_requests_have_waited_for_some_time_until_none_waits_for_longer() {
        let (standing, burst) = (Duration::from_millis(10), Duration::from_millis(80));
        let mut now = Instant::now();
        let mut queue = queue(now);
        queue.waits = Waits { standing, burst };
        let mut arrive = |after: Duration| {
            now += after;
            let arrival = queue.arrive(now, 0, LONG, |gone| *gone);
            queue.push(now, false, 0);
            // The queue is empty again, also in lasting overload.
            queue.pop();
            arrival
        };
        assert_eq!(arrive(Duration::ZERO), Arrival::Waits(burst));
        assert_eq!(arrive(STANDING / 2), Arrival::Waits(burst));
        assert_eq!(arrive(STANDING / 2), Arrival::Waits(standing));
        assert_eq!(arrive(CALM.saturating_sub(STANDING / 2)), Arrival::Waits(standing));
        assert_eq!(arrive(CALM), Arrival::Waits(burst));
    }

    #[test]
    fn one_refusal_for_ten_completions_is_immediate() {
        let mut now = Instant::now();
        let mut queue = queue(now);
        now += Duration::from_mins(1);
        // The tenth of a thousand, of one second and no longer.
        assert_eq!((0..200).filter(|_| queue.is_immediate(now)).count(), 100);
        now += Duration::from_millis(100);
        assert_eq!((0..200).filter(|_| queue.is_immediate(now)).count(), 10);
    }
}
