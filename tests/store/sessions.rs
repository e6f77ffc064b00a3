//! The promises of `SessionStore`.

use chrono::TimeDelta;
use futures_util::future::join_all;
use glasshouse::domain::{
    auth::{Family, Rotation, SecretDigest, Session, SessionId},
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
    an_ended_session_is_over,
    ending_twice_is_no_error,
    a_sweep_removes_what_has_expired_up_to_its_limit,
    a_sweep_leaves_the_living,
}

const NEXT: SecretDigest = SecretDigest([2; 32]);

async fn a_session_of_a_removed_user_is_stale(on: On) {
    let store = on.open().await;
    let refused = store.sessions.start(&session(UserId::generate()), &hash("first")).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

async fn no_session_outlives_the_password_that_it_was_begun_with(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let (old, new) = (hash("first"), hash("second"));
    // More than the pool has connections, some before and some behind the change.
    let sessions: Vec<_> = (0..40).map(|_| session(ann.id)).collect();
    let start = async |session| drop(store.sessions.start(session, &old).await);
    let (before, behind) = sessions.split_at(3);
    let (before, behind) = (join_all(before.iter().map(start)), join_all(behind.iter().map(start)));
    let (_, changed, _) = tokio::join!(before, store.users.set_password(ann.id, &old, &new, None, None), behind);
    changed.unwrap();
    for session in &sessions {
        assert_eq!(store.sessions.recognise(session.id, now()).await.unwrap(), None);
    }
    let refused = store.sessions.start(&session(ann.id), &old).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    store.sessions.start(&session(ann.id), &new).await.unwrap();
}

async fn a_living_session_is_recognised_by_its_user(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    assert_eq!(store.sessions.recognise(session.id, now()).await.unwrap(), Some(ann));
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
    let rotation = store.sessions.rotate(session.family, &session.secret, &NEXT, now(), later).await.unwrap();
    assert_eq!(rotation, Rotation::Rotated(session.id, ann.id));
    assert!(store.sessions.recognise(session.id, session.expires_at).await.unwrap().is_some());
    let again = store.sessions.rotate(session.family, &NEXT, &session.secret, now(), later).await.unwrap();
    assert_eq!(again, Rotation::Rotated(session.id, ann.id));
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
    let Session { family, secret, expires_at: end, .. } = store.with_session(&ann).await;
    for shown in [secret, NEXT] {
        let rotation = store.sessions.rotate(family, &shown, &NEXT, end, end + TimeDelta::hours(1)).await.unwrap();
        assert_eq!(rotation, Rotation::Unknown);
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

async fn rotate(store: &Opened, session: &Session) -> Rotation {
    store.sessions.rotate(session.family, &session.secret, &NEXT, now(), session.expires_at).await.unwrap()
}
