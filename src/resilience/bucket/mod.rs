//! Token buckets, one for each client, in memory that is fixed from the start.
//!
//! A bucket is one number (GCRA): the moment at which it will be full again. A client is 64 bits of a hash whose key
//! nobody knows: what made it, such as an e-mail address, is not kept, and nobody can choose who shares a place with it.
//!
//! The places are in sets of [`WAYS`]; a client has one set. Where that is full, the client with the most left in its
//! bucket is forgotten. So nobody is locked out because there are many clients, and to be forgotten costs more than it
//! gives: whoever is in debt has to be pushed out by clients with as large a debt, each of which has spent as much.
//! That is also why no cache was taken for it: one that keeps what is asked for often, or came last, forgets whoever an
//! attacker wants, and the usual keyed limiters have no bound at all.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many clients share one lock and are looked through for one of them: few enough for four lines of cache, many
/// enough that half-full memory overflows in one set of 250 only.
const WAYS: usize = 16;

/// How much a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    burst: u32,
    /// In nanoseconds; a token comes back each time.
    interval: u64,
}

impl Quota {
    /// `burst` tokens at once, and `rate` in each `period` for long. What is 0 counts as 1. A rate that does not divide
    /// the period is rounded down by less than a nanosecond a token.
    #[must_use]
    pub fn new(burst: u32, rate: u32, period: Duration) -> Self {
        let interval = nanoseconds(period).div_ceil(u64::from(rate.max(1))).max(1);
        Self { burst: burst.max(1), interval }
    }

    /// How many tokens a full bucket has.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// How long an empty bucket takes to be full.
    #[must_use]
    pub const fn refill(self) -> Duration {
        Duration::from_nanos(self.depth())
    }

    const fn depth(self) -> u64 {
        self.interval.saturating_mul(self.burst as u64)
    }
}

/// What became of an attempt to take a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was there.
    Yes {
        /// How many are left.
        left: u32,
        /// When the bucket is full again if nobody takes more.
        full_in: Duration,
    },
    /// There was none, and nothing has changed.
    No {
        /// When there is one.
        again_in: Duration,
    },
}

/// The buckets of many clients.
pub struct Buckets {
    quota: Quota,
    sets: Box<[Mutex<Set>]>,
    hasher: RandomState,
    began: Instant,
    forgot: Box<dyn Fn() + Send + Sync>,
}

type Set = [Place; WAYS];

/// A client, and when its bucket is full, in nanoseconds. Where nobody is, both are 0.
#[derive(Clone, Copy, Default)]
struct Place {
    client: u64,
    full_at: u64,
}

impl Buckets {
    /// Full buckets for everybody. At least `max_clients` are remembered, at most 15 more; `forgot` is called for each that
    /// was forgotten before its bucket was full again.
    #[must_use]
    pub fn new(quota: Quota, max_clients: usize, forgot: impl Fn() + Send + Sync + 'static) -> Self {
        let sets = (0..max_clients.div_ceil(WAYS).max(1)).map(|_| Mutex::default()).collect();
        Self { quota, sets, hasher: RandomState::new(), began: Instant::now(), forgot: Box::new(forgot) }
    }

    /// What each client may do.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes one of the client's tokens, if there is one.
    pub fn take(&self, client: &impl Hash) -> Taken {
        self.take_at(self.name(client), self.now())
    }

    /// The same for a client that is remembered; nothing is known of any other.
    pub fn take_if_known(&self, client: &impl Hash) -> Option<Taken> {
        let (client, now) = (self.name(client), self.now());
        let mut set = self.set(client);
        let place = set.iter_mut().find(|place| place.client == client)?;
        Some(place.take(self.quota, now))
    }

    /// Whether a client is remembered.
    #[must_use]
    pub fn contains(&self, client: &impl Hash) -> bool {
        let client = self.name(client);
        self.set(client).iter().any(|place| place.client == client)
    }

    /// Gives a token back that was taken in vain.
    pub fn give_back(&self, client: &impl Hash) {
        let client = self.name(client);
        if let Some(place) = self.set(client).iter_mut().find(|place| place.client == client) {
            place.full_at = place.full_at.saturating_sub(self.quota.interval);
        }
    }

    /// Remembers a client, with a full bucket. Whoever is forgotten for it counts as forgotten, since to be remembered
    /// is what it had.
    pub fn fill(&self, client: &impl Hash) {
        let (client, now) = (self.name(client), self.now());
        self.place(&mut self.set(client), client, 0).full_at = now.max(1);
    }

    /// How many clients have a bucket that is not full.
    #[must_use]
    pub fn in_debt(&self) -> usize {
        let now = self.now();
        let in_debt = |set: &Mutex<Set>| lock(set).iter().filter(|place| place.full_at > now).count();
        self.sets.iter().map(in_debt).sum()
    }

    /// How many clients can be remembered.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    fn take_at(&self, client: u64, now: u64) -> Taken {
        self.place(&mut self.set(client), client, now).take(self.quota, now)
    }

    /// The client's place, which is a new one if it has none. Whose bucket was full before `since` is no loss.
    fn place<'a>(&self, set: &'a mut Set, client: u64, since: u64) -> &'a mut Place {
        let known = set.iter().position(|place| place.client == client);
        let at = known.unwrap_or_else(|| {
            let most_left = (0..WAYS).min_by_key(|at| set[*at].full_at).unwrap_or(0);
            if set[most_left].full_at > since {
                (self.forgot)();
            }
            set[most_left] = Place { client, full_at: 0 };
            most_left
        });
        &mut set[at]
    }

    fn set(&self, client: u64) -> MutexGuard<'_, Set> {
        let at = (u128::from(client) * self.sets.len() as u128) >> 64;
        lock(&self.sets[usize::try_from(at).unwrap_or(0)])
    }

    /// Never 0, which is nobody.
    fn name(&self, client: &impl Hash) -> u64 {
        self.hasher.hash_one(client).max(1)
    }

    fn now(&self) -> u64 {
        nanoseconds(self.began.elapsed())
    }
}

impl Place {
    /// A clock that goes backwards gives nobody a token, and lets nobody wait longer than one token takes.
    fn take(&mut self, quota: Quota, now: u64) -> Taken {
        let latest = now.saturating_add(quota.depth());
        let full_at = self.full_at.clamp(now, latest).saturating_add(quota.interval);
        if full_at > latest {
            return Taken::No { again_in: Duration::from_nanos(full_at - latest) };
        }
        self.full_at = full_at;
        let left = u32::try_from((latest - full_at) / quota.interval).unwrap_or(u32::MAX);
        Taken::Yes { left, full_in: Duration::from_nanos(full_at - now) }
    }
}

/// What was changed under a panic is one number of one client.
fn lock(set: &Mutex<Set>) -> MutexGuard<'_, Set> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets")
            .field("quota", &self.quota)
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
