//! A cache of access tokens whose signature was verified, because verifying costs more than the rest of a read.
//!
//! Only tokens that were accepted enter, so a client cannot fill the cache with tokens that it made itself. A lookup
//! compares SHA-256 digests of whole tokens: its duration depends on digests, and a client that can compute the digest of
//! a valid token already has that token. The map hashes digests with a random key, so a client cannot choose which
//! entries share a slot. No token is kept.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter, sync::Cache};

use super::SessionId;
use crate::{
    domain::users::UserId,
    telemetry::{Counter, Metrics, Reading, catalog},
};

/// The most tokens that are remembered: those of 15 minutes with 18 new tokens a second. Beyond it, the tokens that are used
/// least are evicted, and verified again when they come back.
pub(super) const MAX_ENTRIES: usize = 16_384;

/// The memory of one entry: key, value, links of the queue, and slots of the map.
const ENTRY_BYTES: usize = size_of::<TokenDigest>() + size_of::<VerifiedToken>() + 32;

// A cache of n entries also keeps n / 2 slots of evicted entries, and its vectors grow to twice what they hold at most.
const _: () = assert!(MAX_ENTRIES * 3 / 2 * 2 * ENTRY_BYTES <= 6 * 1024 * 1024, "the cache takes at most 6 MiB");

/// The SHA-256 of a whole token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Computes the digest of a token as the client sent it, signature included.
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// The claims of a token that is ours: its signature, its form, its issuer and its audience are right. None of that can
/// change while the keys and names of [`super::Tokens`] do not. Its times are still to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VerifiedToken {
    pub(super) user: UserId,
    pub(super) session: SessionId,
    /// The later one of `nbf` and `iat`.
    pub(super) not_before: i64,
    pub(super) expires_at: i64,
}

/// A cache of verified tokens. It belongs to one set of keys and names, as part of [`super::Tokens`], and is dropped with
/// them. Sharded: requests on different cores rarely take the same lock, and a lookup takes it for reading.
pub(super) struct TokenCache {
    entries: Arc<Entries>,
    lookups: Counter,
}

type Entries = Cache<TokenDigest, VerifiedToken, UnitWeighter, DefaultHashBuilder, CountEvictions>;

impl TokenCache {
    /// Returns an empty cache that holds at most `max_entries`.
    pub(super) fn new(max_entries: usize, metrics: &Metrics) -> Self {
        let evictions = metrics.counter(&catalog::TOKEN_CACHE_EVICTIONS);
        let entries = Entries::with(
            max_entries,
            max_entries as u64,
            UnitWeighter,
            DefaultHashBuilder::default(),
            CountEvictions(evictions),
        );
        let entries = Arc::new(entries);
        let counted = Arc::clone(&entries);
        metrics.register(Reading::new(&catalog::TOKEN_CACHE_ENTRIES, move |set| set(&[], as_f64(counted.len()))));
        let lookups = metrics.counter(&catalog::TOKEN_CACHE_LOOKUPS);
        for result in ["hit", "miss"] {
            lookups.add(&[result], 0);
        }
        Self { entries, lookups }
    }

    /// Returns what the token with this digest says, if it was accepted before.
    pub(super) fn get(&self, digest: &TokenDigest) -> Option<VerifiedToken> {
        let found = self.entries.get(digest);
        self.lookups.inc(&[if found.is_some() { "hit" } else { "miss" }]);
        found
    }

    /// Remembers a token that was accepted.
    pub(super) fn insert(&self, digest: TokenDigest, verified: VerifiedToken) {
        self.entries.insert(digest, verified);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Counts evicted entries.
#[derive(Clone)]
struct CountEvictions(Counter);

impl Lifecycle<TokenDigest, VerifiedToken> for CountEvictions {
    type RequestState = ();

    fn begin_request(&self) -> Self::RequestState {}

    fn on_evict(&self, (): &mut (), _: TokenDigest, _: VerifiedToken) {
        self.0.inc(&[]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 entries")]
const fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicI64, Ordering::Relaxed},
        },
        time::Duration,
    };

    use chrono::DateTime;
    use proptest::prelude::*;
    use secrecy::{ExposeSecret, SecretString};
    use uuid::Uuid;

    use super::{TokenCache, TokenDigest};
    use crate::{
        domain::{
            Clock,
            auth::{Keys, SessionId, SigningAlgorithm, TokenError, TokenTimes, Tokens},
            users::UserId,
        },
        telemetry::Metrics,
    };

    const START: i64 = 1_790_000_000;

    /// Tokens of one key, and their clock.
    struct Fixture {
        pem: SecretString,
        now: Arc<AtomicI64>,
        user: UserId,
        session: SessionId,
    }

    impl Fixture {
        fn new(algorithm: SigningAlgorithm) -> Self {
            let pem = Keys::generate_pem(algorithm).expect("random numbers");
            let now = Arc::new(AtomicI64::new(START));
            Self { pem, now, user: UserId::generate(), session: SessionId(Uuid::now_v7()) }
        }

        /// Returns tokens with an empty cache.
        fn tokens(&self) -> Tokens {
            self.counted_tokens(&Metrics::new(10))
        }

        fn counted_tokens(&self, metrics: &Metrics) -> Tokens {
            let keys = Keys::parse(&self.pem, &[]).expect("a key that was just made");
            let times = TokenTimes { lifetime: Duration::from_mins(15), clock_skew: Duration::from_secs(30) };
            let now = Arc::clone(&self.now);
            let clock = Clock::from_fn(move || DateTime::from_timestamp(now.load(Relaxed), 0).expect("a time"));
            Tokens::new(keys, "issuer".to_owned(), "audience".to_owned(), times, clock, metrics)
        }

        fn issue(&self, tokens: &Tokens) -> String {
            tokens.issue(self.user, self.session).expect("it signs").expose_secret().to_owned()
        }
    }

    fn value(metrics: &Metrics, family: &str, label: Option<&str>) -> u64 {
        let families = metrics.gather();
        let family = families.iter().find(|it| it.name() == family).expect("the family");
        let mut series = family.get_metric().iter();
        let metric = series
            .find(|it| label.is_none_or(|label| it.get_label().iter().any(|pair| pair.value() == label)))
            .expect("the series");
        let value = metric.get_counter().get_value() + metric.get_gauge().get_value();
        format!("{value}").parse().expect("a whole number")
    }

    #[test]
    fn cached_token_is_accepted_only_within_its_times() {
        for algorithm in SigningAlgorithm::ALL {
            let fixture = Fixture::new(algorithm);
            let (metrics, accepted) = (Metrics::new(10), Ok((fixture.user, fixture.session)));
            let tokens = fixture.counted_tokens(&metrics);
            let token = fixture.issue(&tokens);
            let lifetime = i64::try_from(tokens.lifetime().as_secs()).expect("minutes");
            for (second, expected) in [
                (0, accepted),
                (0, accepted),
                (lifetime - 1, accepted),
                (lifetime, Err(TokenError::Expired)),
                (lifetime + 1, Err(TokenError::Expired)),
                (-30, accepted),
                (-31, Err(TokenError::NotYet)),
            ] {
                fixture.now.store(START + second, Relaxed);
                assert_eq!(tokens.check(&token), expected, "{algorithm:?}, {second} s");
            }
            assert_eq!(value(&metrics, "glasshouse_token_cache_lookups_total", Some("miss")), 1);
            assert_eq!(value(&metrics, "glasshouse_token_cache_lookups_total", Some("hit")), 6);
            assert_eq!(value(&metrics, "glasshouse_token_cache_entries", None), 1);
        }
    }

    #[test]
    fn rejected_token_is_not_cached() {
        let fixture = Fixture::new(SigningAlgorithm::EdDsa);
        let metrics = Metrics::new(10);
        let tokens = fixture.counted_tokens(&metrics);
        let token = fixture.issue(&tokens);
        let foreign = Fixture::new(SigningAlgorithm::EdDsa);
        for rejected in ["", "a", "a.b.c", &token[1..], &token[..token.len() - 1], &foreign.issue(&foreign.tokens())] {
            for _ in 0..2 {
                assert!(tokens.check(rejected).is_err(), "{rejected}");
            }
        }
        fixture.now.store(START + 1000, Relaxed);
        assert_eq!(tokens.check(&token), Err(TokenError::Expired));
        fixture.now.store(START - 1000, Relaxed);
        assert_eq!(tokens.check(&token), Err(TokenError::NotYet));
        assert_eq!(value(&metrics, "glasshouse_token_cache_entries", None), 0);
        assert_eq!(value(&metrics, "glasshouse_token_cache_lookups_total", Some("hit")), 0);
    }

    #[test]
    fn cache_with_other_keys_is_empty() {
        let (before, after) = (Fixture::new(SigningAlgorithm::EdDsa), Fixture::new(SigningAlgorithm::EdDsa));
        let tokens = before.tokens();
        let token = before.issue(&tokens);
        assert!(tokens.check(&token).is_ok() && tokens.check(&token).is_ok());
        assert_eq!(after.tokens().check(&token), Err(TokenError::UnknownKey));
    }

    #[test]
    fn full_cache_evicts_and_counts() {
        let fixture = Fixture::new(SigningAlgorithm::EdDsa);
        let tokens = fixture.tokens();
        let verified = tokens.verify(&fixture.issue(&tokens)).expect("it is ours");
        let metrics = Metrics::new(10);
        let cache = TokenCache::new(128, &metrics);
        for number in 0..10_000 {
            cache.insert(TokenDigest::of(&number.to_string()), verified);
        }
        assert!((1..=128).contains(&cache.len()), "{}", cache.len());
        let evictions = value(&metrics, "glasshouse_token_cache_evictions_total", None);
        assert_eq!(evictions + value(&metrics, "glasshouse_token_cache_entries", None), 10_000);
    }

    /// What a client changes in a token.
    #[derive(Debug, Clone)]
    enum Change {
        Replace(usize, char),
        Insert(usize, char),
        Remove(usize),
        Swap(usize, usize),
        Cut(usize),
        Append(String),
    }

    impl Change {
        fn apply(&self, token: &str) -> String {
            let mut chars: Vec<char> = token.chars().collect();
            let at = |index: &usize| index % token.len();
            match self {
                Self::Replace(index, by) => chars[at(index)] = *by,
                Self::Insert(index, new) => chars.insert(at(index), *new),
                Self::Remove(index) => drop(chars.remove(at(index))),
                Self::Swap(left, right) => chars.swap(at(left), at(right)),
                Self::Cut(index) => chars.truncate(at(index)),
                Self::Append(text) => chars.extend(text.chars()),
            }
            chars.into_iter().collect()
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        let letter = prop_oneof!["[A-Za-z0-9_.=-]".prop_map(|text| text.chars().next().expect("one")), any::<char>()];
        prop_oneof![
            (any::<usize>(), letter.clone()).prop_map(|(index, by)| Change::Replace(index, by)),
            (any::<usize>(), letter).prop_map(|(index, new)| Change::Insert(index, new)),
            any::<usize>().prop_map(Change::Remove),
            any::<(usize, usize)>().prop_map(|(left, right)| Change::Swap(left, right)),
            any::<usize>().prop_map(Change::Cut),
            "[.=A-Za-z ]{1,4}".prop_map(Change::Append),
        ]
    }

    proptest! {
        #[test]
        fn verdict_of_warm_cache_equals_verdict_of_cold_cache(
            changes in proptest::collection::vec(change(), 0..3),
            second in prop_oneof![Just(0_i64), -60..1000_i64],
            is_es256: bool,
        ) {
            let algorithm = if is_es256 { SigningAlgorithm::Es256 } else { SigningAlgorithm::EdDsa };
            let fixture = Fixture::new(algorithm);
            let warm = fixture.tokens();
            let token = fixture.issue(&warm);
            prop_assert!(warm.check(&token).is_ok());
            let changed = changes.iter().fold(token.clone(), |token, change| change.apply(&token));
            warm.check(&changed).ok();
            fixture.now.store(START + second, Relaxed);
            let cold = fixture.tokens().check(&changed);
            prop_assert_eq!(warm.check(&changed), cold);
            prop_assert!(cold.is_err() || changed == token, "{} was never issued", changed);
        }
    }
}
