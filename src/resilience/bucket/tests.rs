//! What a limit promises, at every rate and at every hour.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use proptest::prelude::*;

use super::{Buckets, Quota, Taken, WAYS};

const SECOND: u64 = 1_000_000_000;
const ANN: u64 = 1;

fn buckets(quota: Quota, max_clients: usize) -> (Buckets, Arc<AtomicUsize>) {
    let forgotten = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&forgotten);
    let count = move || {
        counted.fetch_add(1, Relaxed);
    };
    (Buckets::new(quota, max_clients, count), forgotten)
}

fn one(quota: Quota) -> Buckets {
    buckets(quota, 1).0
}

fn a_second(burst: u32, rate: u32) -> Quota {
    Quota::new(burst, rate, Duration::from_secs(1))
}

fn is_taken(taken: Taken) -> bool {
    matches!(taken, Taken::Yes { .. })
}

/// How many of so many attempts at once succeed.
fn taken(buckets: &Buckets, client: u64, attempts: usize, now: u64) -> usize {
    (0..attempts).filter(|_| is_taken(buckets.take_at(client, now))).count()
}

#[test]
fn a_burst_passes_and_then_one_for_each_interval() {
    let buckets = one(a_second(20, 10));
    assert_eq!(buckets.take_at(ANN, 0), Taken::Yes { left: 19, full_in: Duration::from_millis(100) });
    assert_eq!(taken(&buckets, ANN, 100, 0), 19);
    assert_eq!(buckets.take_at(ANN, 0), Taken::No { again_in: Duration::from_millis(100) });
    assert_eq!(buckets.take_at(ANN, SECOND / 20), Taken::No { again_in: Duration::from_millis(50) });
    assert_eq!(buckets.take_at(ANN, SECOND / 10), Taken::Yes { left: 0, full_in: Duration::from_secs(2) });
    assert_eq!(taken(&buckets, ANN, 100, SECOND), 9);
    assert_eq!(taken(&buckets, ANN, 100, 60 * SECOND), 20, "no more than the burst is saved up");
}

#[test]
fn what_is_given_back_can_be_taken_again_and_no_more_than_that() {
    let buckets = Buckets::new(Quota::new(2, 1, Duration::from_hours(1)), 1, || {});
    for _ in 0..10 {
        assert!(is_taken(buckets.take(&"ann")));
        buckets.give_back(&"ann");
    }
    buckets.give_back(&"ann");
    buckets.give_back(&"nobody");
    assert_eq!((0..10).filter(|_| is_taken(buckets.take(&"ann"))).count(), 2);
    assert_eq!(buckets.in_debt(), 1);
}

#[test]
fn only_whoever_is_remembered_is_known() {
    let buckets = Buckets::new(Quota::new(2, 1, Duration::from_hours(1)), 1, || {});
    assert_eq!(buckets.take_if_known(&"ann"), None);
    for _ in 0..2 {
        buckets.fill(&"ann");
        assert!(buckets.take_if_known(&"ann").is_some_and(is_taken));
        assert!(buckets.take_if_known(&"ann").is_some_and(is_taken));
        assert!(!buckets.take_if_known(&"ann").is_some_and(is_taken));
    }
    assert_eq!(buckets.take_if_known(&"bob"), None);
}

#[test]
fn whoever_is_no_longer_known_is_counted() {
    let (buckets, forgotten) = buckets(Quota::new(2, 1, Duration::from_nanos(1)), WAYS);
    (0..3 * WAYS).for_each(|client| buckets.fill(&client));
    assert_eq!(forgotten.load(Relaxed), 2 * WAYS);
}

#[test]
fn clients_do_not_share_a_bucket() {
    let buckets = Buckets::new(Quota::new(1, 1, Duration::from_hours(1)), 10_000, || {});
    assert!((0..2_000).all(|client| is_taken(buckets.take(&client))));
    assert!((0..2_000).all(|client| !is_taken(buckets.take(&client))));
    assert_eq!(buckets.in_debt(), 2_000);
}

#[test]
fn memory_is_what_it_was_however_many_clients_come() {
    let (buckets, forgotten) = buckets(a_second(5, 1), 1000);
    let capacity = buckets.capacity();
    assert!((1000..1000 + WAYS).contains(&capacity));
    assert!((0..100_000).all(|client| is_taken(buckets.take(&client))), "nobody is locked out by others");
    assert_eq!(buckets.capacity(), capacity);
    assert!(buckets.in_debt() <= capacity);
    assert!(forgotten.load(Relaxed) >= 100_000 - capacity - 50_000, "{forgotten:?}");
}

#[test]
fn whoever_is_most_in_debt_is_forgotten_last() {
    let (buckets, forgotten) = buckets(a_second(20, 1), WAYS);
    assert_eq!(taken(&buckets, ANN, 20, 0), 20);
    // A crowd comes once each, and could fill the memory a thousand times.
    for stranger in 2..=u64::try_from(1000 * WAYS).expect("it is small") {
        assert!(is_taken(buckets.take_at(stranger, 0)), "{stranger}");
    }
    assert_eq!(taken(&buckets, ANN, 20, 0), 0, "her debt is remembered");
    assert_eq!(forgotten.load(Relaxed), 999 * WAYS);
}

#[test]
fn to_be_forgotten_costs_as_many_tokens_of_others_as_there_are_places() {
    let (buckets, _) = buckets(a_second(20, 1), WAYS);
    assert_eq!(taken(&buckets, ANN, 20, 0), 20);
    let mut spent = 0;
    let others = 2..100;
    for other in others {
        spent += taken(&buckets, other, 20, 0);
        if is_taken(buckets.take_at(ANN, 0)) {
            break;
        }
    }
    assert!(spent >= 20 * (WAYS - 1), "{spent}");
}

#[test]
fn a_full_bucket_is_forgotten_without_a_loss() {
    let (buckets, forgotten) = buckets(a_second(5, 1), WAYS);
    for client in 1..=1000 {
        assert!(is_taken(buckets.take_at(client, client * SECOND)));
    }
    assert_eq!(forgotten.load(Relaxed), 0);
}

#[test]
fn extremes_are_bounds_like_others() {
    for (burst, rate, period) in [
        (0, 0, Duration::ZERO),
        (u32::MAX, u32::MAX, Duration::MAX),
        (u32::MAX, 1, Duration::MAX),
        (1, u32::MAX, Duration::from_nanos(1)),
        (1, 1, Duration::from_secs(u64::MAX / SECOND)),
    ] {
        let quota = Quota::new(burst, rate, period);
        let buckets = one(quota);
        for now in [0, u64::MAX, 1, u64::MAX / 2, 0] {
            for _ in 0..3 {
                buckets.take_at(ANN, now);
            }
        }
        assert!(quota.refill() >= Duration::from_nanos(1) && quota.burst() >= 1);
    }
    assert_eq!(taken(&one(a_second(u32::MAX, 1)), ANN, 1000, 0), 1000);
}

#[test]
fn threads_together_take_no_more_than_there_is() {
    let buckets = Buckets::new(Quota::new(1000, 1, Duration::from_hours(1)), 1, || {});
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    if is_taken(buckets.take(&"ann")) {
                        taken.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 1000);
}

prop_compose! {
    fn quotas()(burst in 1..200_u32, rate in 1..5000_u32, seconds in 1..4000_u64) -> Quota {
        Quota::new(burst, rate, Duration::from_secs(seconds))
    }
}

proptest! {
    /// Any window: from each attempt that succeeded to each later one.
    #[test]
    fn no_window_has_more_than_the_burst_and_the_rate(
        quota in quotas(),
        steps in proptest::collection::vec(0..3_000_u64, 1..150),
    ) {
        let buckets = one(quota);
        let (mut now, mut times) = (0, Vec::new());
        for step in steps {
            // Around the interval, where the bounds are.
            now += quota.interval * step / 1000;
            times.extend((0..3).filter(|_| is_taken(buckets.take_at(ANN, now))).map(|_| now));
        }
        for (at, from) in times.iter().enumerate() {
            for (more, until) in times[at..].iter().enumerate() {
                let most = u64::from(quota.burst) + (until - from) / quota.interval;
                prop_assert!(u64::try_from(more + 1).unwrap_or(u64::MAX) <= most);
            }
        }
    }

    #[test]
    fn nobody_who_keeps_to_the_rate_is_refused(
        quota in quotas(),
        pauses in proptest::collection::vec(0..5_000_u64, 1..200),
    ) {
        let buckets = one(quota);
        let mut now = 0;
        for pause in pauses {
            now += quota.interval + pause;
            prop_assert!(is_taken(buckets.take_at(ANN, now)));
        }
    }

    #[test]
    fn whoever_waits_as_long_as_he_is_told_is_not_refused_again(
        quota in quotas(),
        steps in proptest::collection::vec(0..1_500_u64, 1..300),
    ) {
        let buckets = one(quota);
        let mut now = 0;
        for step in steps {
            now += quota.interval * step / 1000;
            if let Taken::No { again_in } = buckets.take_at(ANN, now) {
                let wait = super::nanoseconds(again_in);
                prop_assert!(wait > 0 && wait <= quota.interval);
                prop_assert!(!is_taken(buckets.take_at(ANN, now + wait - 1)));
                now += wait;
                prop_assert!(is_taken(buckets.take_at(ANN, now)));
            }
        }
    }

    /// However the clock jumps: no more than its furthest reading allows, and nobody waits longer than a token takes.
    #[test]
    fn a_clock_that_goes_backwards_gives_nothing_away(
        quota in quotas(),
        readings in proptest::collection::vec(0..100_000_u64, 1..200),
    ) {
        let buckets = one(quota);
        let (mut furthest, mut taken) = (0, 0);
        for reading in readings {
            let now = quota.interval * reading / 1000;
            furthest = furthest.max(now);
            match buckets.take_at(ANN, now) {
                Taken::Yes { left, full_in } => {
                    taken += 1;
                    prop_assert!(left < quota.burst && full_in <= quota.refill());
                }
                Taken::No { again_in } => prop_assert!(super::nanoseconds(again_in) <= quota.interval),
            }
        }
        prop_assert!(taken <= u64::from(quota.burst) + furthest / quota.interval);
    }

    #[test]
    fn no_quota_and_no_moment_panics(
        burst: u32, rate: u32, nanoseconds: u64, moments in proptest::collection::vec(any::<u64>(), 1..50)
    ) {
        let buckets = one(Quota::new(burst, rate, Duration::from_nanos(nanoseconds)));
        for now in moments {
            buckets.take_at(ANN, now);
        }
    }
}
