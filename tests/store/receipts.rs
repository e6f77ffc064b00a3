//! The promises of `UserStore` about registrations that happen once.

use chrono::TimeDelta;
use glasshouse::domain::users::{Email, Once, Receipt, StoreError, User};

use crate::support::{On, Opened, hash, now, user};

crate::on_all! {
    a_receipt_is_read_back_as_it_was_written,
    an_unknown_key_has_no_receipt,
    a_user_that_was_refused_leaves_no_receipt,
    a_user_whose_key_was_used_is_not_kept,
    a_receipt_outlives_changes_of_the_user_and_the_user,
    of_twenty_with_one_key_one_is_kept_and_the_others_find_its_receipt,
    a_sweep_removes_old_receipts_up_to_its_limit,
    a_sweep_leaves_receipts_that_are_younger,
}

fn once(key: u8) -> Once {
    Once { key: [key; 32], request: [255 - key; 32] }
}

async fn with_receipt(store: &Opened, email: &str, key: u8) -> User {
    let user = user(email);
    store.users.insert(&user, &hash("first"), Some(&once(key)), None).await.unwrap();
    user
}

async fn a_receipt_is_read_back_as_it_was_written(on: On) {
    let store = on.open().await;
    let ann = with_receipt(&store, "ann@example.com", 1).await;
    assert_eq!(store.users.get(ann.id).await.unwrap().as_ref(), Some(&ann));
    let receipt = Receipt { request: [254; 32], user: ann.id, password: hash("first"), registered_at: ann.created_at };
    assert_eq!(store.users.receipt(&[1; 32]).await.unwrap(), Some(receipt));
}

async fn an_unknown_key_has_no_receipt(on: On) {
    let store = on.open().await;
    store.with_user("ann@example.com").await;
    with_receipt(&store, "bob@example.com", 1).await;
    assert_eq!(store.users.receipt(&[2; 32]).await.unwrap(), None);
}

async fn a_user_that_was_refused_leaves_no_receipt(on: On) {
    let store = on.open().await;
    store.with_user("ann@example.com").await;
    let refused = store.users.insert(&user("Ann@example.com"), &hash("x"), Some(&once(1)), None).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");
    assert_eq!(store.users.receipt(&[1; 32]).await.unwrap(), None);
    with_receipt(&store, "bob@example.com", 1).await;
}

async fn a_user_whose_key_was_used_is_not_kept(on: On) {
    let store = on.open().await;
    let ann = with_receipt(&store, "ann@example.com", 1).await;
    let bob = user("bob@example.com");
    let refused = store.users.insert(&bob, &hash("x"), Some(&once(1)), None).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");
    assert_eq!(store.users.get(bob.id).await.unwrap(), None);
    assert_eq!(store.users.receipt(&[1; 32]).await.unwrap().unwrap().user, ann.id);
}

async fn a_receipt_outlives_changes_of_the_user_and_the_user(on: On) {
    let store = on.open().await;
    let ann = with_receipt(&store, "ann@example.com", 1).await;
    let first = store.users.receipt(&[1; 32]).await.unwrap();
    let changed = User { email: Email::parse("lee@example.com").unwrap(), version: ann.version.next(), ..ann.clone() };
    store.users.update(&ann, &changed, None).await.unwrap();
    store.users.set_password(ann.id, &hash("first"), &hash("second"), None, None).await.unwrap();
    assert_eq!(store.users.receipt(&[1; 32]).await.unwrap(), first);
    store.users.remove(&ann, None, None).await.unwrap();
    assert_eq!(store.users.receipt(&[1; 32]).await.unwrap(), first);
}

async fn of_twenty_with_one_key_one_is_kept_and_the_others_find_its_receipt(on: On) {
    let store = on.open().await;
    let inserts = (0..20).map(|number| {
        let (store, user) = (&store, user(&format!("ann{}@example.com", number % 2)));
        async move {
            let inserted = store.users.insert(&user, &hash("x"), Some(&once(1)), None).await;
            (user.id, inserted, store.users.receipt(&[1; 32]).await.unwrap().map(|receipt| receipt.user))
        }
    });
    let all = futures_util::future::join_all(inserts).await;
    let kept: Vec<_> = all.iter().filter(|(_, inserted, _)| inserted.is_ok()).map(|(id, ..)| *id).collect();
    assert_eq!(kept.len(), 1, "{all:?}");
    for (_, inserted, found) in &all {
        assert!(matches!(inserted, Ok(()) | Err(StoreError::Taken)), "{inserted:?}");
        assert_eq!(*found, Some(kept[0]));
    }
}

async fn a_sweep_removes_old_receipts_up_to_its_limit(on: On) {
    let store = on.open().await;
    for key in 0..5 {
        with_receipt(&store, &format!("ann{key}@example.com"), key).await;
    }
    assert_eq!(store.users.sweep_receipts(now(), 3).await.unwrap(), 3);
    assert_eq!(store.users.sweep_receipts(now(), 3).await.unwrap(), 2);
    assert_eq!(store.users.sweep_receipts(now(), 3).await.unwrap(), 0);
    assert_eq!(store.users.receipt(&[1; 32]).await.unwrap(), None);
}

async fn a_sweep_leaves_receipts_that_are_younger(on: On) {
    let store = on.open().await;
    with_receipt(&store, "ann@example.com", 1).await;
    assert_eq!(store.users.sweep_receipts(now() - TimeDelta::microseconds(1), 10).await.unwrap(), 0);
    assert!(store.users.receipt(&[1; 32]).await.unwrap().is_some());
}
