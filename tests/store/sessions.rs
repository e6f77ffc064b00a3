//! The promises of `SessionStore`.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use glasshouse::domain::{
    auth::{Exchange, Family, NetworkDigest, Rotation, SecretDigest, Session, SessionId, SuccessorSalt},
    users::{StoreError, UserId},
};
use uuid::Uuid;

use crate::support::{On, Opened, hash, now, session};

crate::on_all! {
    a_session_of_a_removed_user_is_stale,
    no_session_outlives_the_password_that_it_was_begun_with,
    a_living_session_is_recognised_by_its_user,
    a_session_is_over_at_its_end_and_not_before,
    an_unknown_session_is_nobody,
    a_rotation_replaces_the_secret_and_prolongs,
    an_earlier_secret_ends_the_session,
    an_unknown_family_is_unknown,
    an_expired_session_is_not_rotated,
    of_twenty_with_one_secret_exactly_one_rotates,
    previous_secret_repeats_a_recent_rotation,
    previous_secret_ends_the_session_after_the_reuse_interval,
    older_secret_ends_the_session_within_the_reuse_interval,
    concurrent_rotations_of_one_secret_are_repeated,
    an_ended_session_is_over,
    ending_twice_is_no_error,
    session_beyond_the_limit_ends_the_oldest,
    concurrent_sign_ins_keep_to_the_limit,
    a_sweep_removes_what_has_expired_up_to_its_limit,
    a_sweep_leaves_the_living,
    network_is_known_after_it_was_remembered,
    networks_beyond_the_limit_are_forgotten_oldest_first,
    network_of_a_removed_user_is_forgotten,
}

const NEXT: SecretDigest = SecretDigest([2; 32]);
const SALT: SuccessorSalt = SuccessorSalt([3; 32]);

async fn a_session_of_a_removed_user_is_stale(on: On) {
    let store = on.open().await;
    let refused = store.sessions.start(&session(UserId::generate()), &hash("first"), 100).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

async fn no_session_outlives_the_password_that_it_was_begun_with(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let (old, new) = (hash("first"), hash("second"));
    // More than the pool has connections, some before and some behind the change.
    let sessions: Vec<_> = (0..40).map(|_| session(ann.id)).collect();
    let start = async |session| drop(store.sessions.start(session, &old, 100).await);
    let (before, behind) = sessions.split_at(3);
    let (before, behind) = (join_all(before.iter().map(start)), join_all(behind.iter().map(start)));
    let (_, changed, _) = tokio::join!(before, store.users.set_password(ann.id, &old, &new, None, None), behind);
    changed.unwrap();
    for session in &sessions {
        assert_eq!(store.sessions.recognise(session.id, now()).await.unwrap(), None);
    }
    let refused = store.sessions.start(&session(ann.id), &old, 100).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    store.sessions.start(&session(ann.id), &new, 100).await.unwrap();
}

async fn a_living_session_is_recognised_by_its_user(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    assert_eq!(store.sessions.recognise(session.id, now()).await.unwrap(), Some((ann, now())));
}

async fn a_session_is_over_at_its_end_and_not_before(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    let before = session.expires_at - TimeDelta::microseconds(1);
    assert!(store.sessions.recognise(session.id, before).await.unwrap().is_some());
    assert!(store.sessions.recognise(session.id, session.expires_at).await.unwrap().is_none());
}

async fn an_unknown_session_is_nobody(on: On) {
    let store = on.open().await;
    assert!(store.sessions.recognise(SessionId(Uuid::now_v7()), now()).await.unwrap().is_none());
}

async fn a_rotation_replaces_the_secret_and_prolongs(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    let later = session.expires_at + TimeDelta::hours(1);
    let exchange = Exchange { expires_at: later, ..exchange(&session) };
    let rotation = store.sessions.rotate(&exchange, now()).await.unwrap();
    assert_eq!(rotation, Rotation::Rotated(session.id, ann.id));
    assert!(store.sessions.recognise(session.id, session.expires_at).await.unwrap().is_some());
    let back = Exchange { presented: NEXT, next: session.secret, ..exchange };
    assert_eq!(store.sessions.rotate(&back, now()).await.unwrap(), Rotation::Rotated(session.id, ann.id));
}

async fn an_earlier_secret_ends_the_session(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let (session, other) = (store.with_session(&ann).await, store.with_session(&ann).await);
    rotate(&store, &session).await;
    assert_eq!(rotate(&store, &session).await, Rotation::Reused(session.id, ann.id));
    assert!(store.sessions.recognise(session.id, now()).await.unwrap().is_none());
    assert!(store.sessions.recognise(other.id, now()).await.unwrap().is_some());
    assert_eq!(rotate(&store, &session).await, Rotation::Unknown);
}

async fn an_unknown_family_is_unknown(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    let guessed = Session { family: Family(Uuid::new_v4()), ..session.clone() };
    assert_eq!(rotate(&store, &guessed).await, Rotation::Unknown);
    assert!(store.sessions.recognise(session.id, now()).await.unwrap().is_some());
}

async fn an_expired_session_is_not_rotated(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    let end = session.expires_at;
    for presented in [session.secret, NEXT] {
        let exchange = Exchange { presented, expires_at: end + TimeDelta::hours(1), ..exchange(&session) };
        assert_eq!(store.sessions.rotate(&exchange, end).await.unwrap(), Rotation::Unknown);
    }
}

async fn of_twenty_with_one_secret_exactly_one_rotates(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    let rotations = join_all((0..20).map(|_| rotate(&store, &session))).await;
    let rotated = rotations.iter().filter(|rotation| matches!(rotation, Rotation::Rotated(..))).count();
    let reused = rotations.iter().filter(|rotation| matches!(rotation, Rotation::Reused(..))).count();
    assert_eq!((rotated, reused), (1, 1), "{rotations:?}");
}

async fn previous_secret_repeats_a_recent_rotation(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    rotate(&store, &session).await;
    let repeated = Rotation::Repeated { session: session.id, user: ann.id, current: NEXT, salt: SALT };
    // Another salt changes nothing: the token of the first exchange stays the current one.
    let retry = Exchange { next: SecretDigest([9; 32]), salt: SuccessorSalt([9; 32]), ..exchange(&session) };
    for _ in 0..2 {
        assert_eq!(repeat(&store, &retry, now()).await, repeated);
    }
    let newest = Exchange { presented: NEXT, next: SecretDigest([4; 32]), ..exchange(&session) };
    assert_eq!(repeat(&store, &newest, now()).await, Rotation::Rotated(session.id, ann.id));
}

async fn previous_secret_ends_the_session_after_the_reuse_interval(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    rotate(&store, &session).await;
    let after = now() + TimeDelta::microseconds(1);
    assert_eq!(repeat(&store, &exchange(&session), after).await, Rotation::Reused(session.id, ann.id));
    assert!(store.sessions.recognise(session.id, now()).await.unwrap().is_none());
}

async fn older_secret_ends_the_session_within_the_reuse_interval(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    rotate(&store, &session).await;
    let newest = Exchange { presented: NEXT, next: SecretDigest([4; 32]), ..exchange(&session) };
    assert_eq!(repeat(&store, &newest, now()).await, Rotation::Rotated(session.id, ann.id));
    assert_eq!(repeat(&store, &exchange(&session), now()).await, Rotation::Reused(session.id, ann.id));
}

async fn concurrent_rotations_of_one_secret_are_repeated(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    let exchange = exchange(&session);
    let rotations = join_all((0..20).map(|_| repeat(&store, &exchange, now()))).await;
    let rotated = rotations.iter().filter(|rotation| matches!(rotation, Rotation::Rotated(..))).count();
    let repeated = rotations.iter().filter(|rotation| matches!(rotation, Rotation::Repeated { .. })).count();
    assert_eq!((rotated, repeated), (1, 19), "{rotations:?}");
}

async fn an_ended_session_is_over(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    store.sessions.end(session.id).await.unwrap();
    assert!(store.sessions.recognise(session.id, now()).await.unwrap().is_none());
    assert_eq!(rotate(&store, &session).await, Rotation::Unknown);
}

async fn ending_twice_is_no_error(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    store.sessions.end(session.id).await.unwrap();
    store.sessions.end(session.id).await.unwrap();
}

async fn session_beyond_the_limit_ends_the_oldest(on: On) {
    let store = on.open().await;
    let (ann, bob) = (store.with_user("ann@example.com").await, store.with_user("bob@example.com").await);
    let of_bob = store.with_session(&bob).await;
    let mut sessions = Vec::new();
    for minute in [3, 1, 2, 4, 0] {
        let began = Session { created_at: now() + TimeDelta::minutes(minute), ..session(ann.id) };
        store.sessions.start(&began, &hash("first"), 3).await.unwrap();
        sessions.push(began);
    }
    let mut living = Vec::new();
    for session in &sessions {
        if store.sessions.recognise(session.id, now()).await.unwrap().is_some() {
            living.push((session.created_at - now()).num_minutes());
        }
    }
    assert_eq!(living, [3, 4, 0], "the newest three, and always the one that has just begun");
    assert!(store.sessions.recognise(of_bob.id, now()).await.unwrap().is_some());
}

async fn concurrent_sign_ins_keep_to_the_limit(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let sessions: Vec<_> = (0..20).map(|_| session(ann.id)).collect();
    let hash = hash("first");
    for started in join_all(sessions.iter().map(|session| store.sessions.start(session, &hash, 3))).await {
        started.unwrap();
    }
    let mut living = 0;
    for session in &sessions {
        living += usize::from(store.sessions.recognise(session.id, now()).await.unwrap().is_some());
    }
    assert_eq!(living, 3);
}

async fn a_sweep_removes_what_has_expired_up_to_its_limit(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    for _ in 0..5 {
        store.with_session(&ann).await;
    }
    let end = session(ann.id).expires_at;
    assert_eq!(store.sessions.sweep(end, 3).await.unwrap(), 3);
    assert_eq!(store.sessions.sweep(end, 3).await.unwrap(), 2);
    assert_eq!(store.sessions.sweep(end, 3).await.unwrap(), 0);
}

async fn a_sweep_leaves_the_living(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    assert_eq!(store.sessions.sweep(session.expires_at - TimeDelta::microseconds(1), 10).await.unwrap(), 0);
    assert!(store.sessions.recognise(session.id, now()).await.unwrap().is_some());
}

async fn network_is_known_after_it_was_remembered(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let [home, away] = [1, 2].map(|byte| NetworkDigest([byte; 32]));
    for _ in 0..2 {
        store.sessions.remember_network(ann.id, &home, now(), 16).await.unwrap();
    }
    assert!(store.sessions.is_known_network(&home).await.unwrap());
    assert!(!store.sessions.is_known_network(&away).await.unwrap());
}

async fn networks_beyond_the_limit_are_forgotten_oldest_first(on: On) {
    let store = on.open().await;
    let (ann, bob) = (store.with_user("ann@example.com").await, store.with_user("bob@example.com").await);
    let network = |byte: u8| NetworkDigest([byte; 32]);
    store.sessions.remember_network(bob.id, &network(9), now() - TimeDelta::hours(1), 2).await.unwrap();
    for (minute, byte) in [(0, 1), (1, 2), (2, 1), (3, 3)] {
        let at = now() + TimeDelta::minutes(minute);
        store.sessions.remember_network(ann.id, &network(byte), at, 2).await.unwrap();
    }
    let mut known = Vec::new();
    for byte in [1, 2, 3, 9] {
        known.push(store.sessions.is_known_network(&network(byte)).await.unwrap());
    }
    assert_eq!(known, [true, false, true, true]);
}

async fn network_of_a_removed_user_is_forgotten(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let home = NetworkDigest([1; 32]);
    store.sessions.remember_network(ann.id, &home, now(), 16).await.unwrap();
    store.users.remove(&ann, None, None).await.unwrap();
    assert!(!store.sessions.is_known_network(&home).await.unwrap());
    let refused = store.sessions.remember_network(ann.id, &home, now(), 16).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

async fn rotate(store: &Opened, session: &Session) -> Rotation {
    store.sessions.rotate(&exchange(session), now()).await.unwrap()
}

/// The exchange of the session's first secret, which repeats no rotation.
pub(crate) fn exchange(session: &Session) -> Exchange {
    Exchange {
        family: session.family,
        presented: session.secret,
        next: NEXT,
        salt: SALT,
        expires_at: session.expires_at,
        repeat_since: None,
    }
}

/// The same, where rotations since that time are repeated.
async fn repeat(store: &Opened, exchange: &Exchange, since: DateTime<Utc>) -> Rotation {
    store.sessions.rotate(&Exchange { repeat_since: Some(since), ..exchange.clone() }, now()).await.unwrap()
}
