//! The promises about the trail: of `UserStore`, which writes it, and of `AuditStore`, which reads and sweeps it.

use chrono::TimeDelta;
use glasshouse::domain::{
    audit::{Action, Actor, Cursor, Entry, Field},
    users::{Role, StoreError, User, UserId, Version},
};

use crate::support::{On, Opened, hash, now, user};

crate::on_all! {
    an_entry_is_read_back_as_it_was_written,
    each_write_leaves_its_entry,
    a_write_that_is_refused_leaves_no_entry,
    a_write_whose_entry_is_refused_has_not_happened,
    the_trail_is_read_from_the_newest_on_after_the_cursor,
    the_trail_of_one_subject_is_its_own,
    a_subject_that_is_gone_has_its_trail,
    a_sweep_removes_what_is_old_up_to_its_limit,
    a_sweep_leaves_what_is_younger,
}

/// An act of an admin that nobody needs to have.
fn entry(action: Action, subject: UserId) -> Entry {
    Entry::new(now(), Actor::Admin(UserId::generate()), action, subject)
}

async fn trail(store: &Opened) -> Vec<Entry> {
    store.audit.list(None, None, 100).await.unwrap()
}

async fn an_entry_is_read_back_as_it_was_written(on: On) {
    let store = on.open().await;
    let ann = user("ann@example.com");
    let plain = Entry { role: Some(Role::Admin), ..Entry::new(now(), Actor::CommandLine, Action::Register, ann.id) };
    store.users.insert(&ann, &hash("x"), None, Some(&plain)).await.unwrap();
    let full = Entry {
        fields: Field::ALL.to_vec(),
        role: Some(Role::User),
        request_id: Some("r-1".to_owned()),
        at: now() + TimeDelta::microseconds(1),
        ..entry(Action::Change, ann.id)
    };
    store.users.update(&ann, &ann, Some(&full)).await.unwrap();
    assert_eq!(trail(&store).await, [full, plain]);
}

async fn each_write_leaves_its_entry(on: On) {
    let store = on.open().await;
    let ann = user("ann@example.com");
    let entries = Action::ALL.map(|action| entry(action, ann.id));
    let [register, change, password, remove] = &entries;
    store.users.insert(&ann, &hash("first"), None, Some(register)).await.unwrap();
    let changed = User { version: ann.version.next(), ..ann.clone() };
    store.users.update(&ann, &changed, Some(change)).await.unwrap();
    store.users.set_password(ann.id, &hash("first"), &hash("second"), None, Some(password)).await.unwrap();
    store.users.remove(&ann, Some(changed.version), Some(remove)).await.unwrap();
    let mut found = trail(&store).await;
    found.reverse();
    assert_eq!(found, entries);
    assert_eq!(store.users.get(ann.id).await.unwrap(), None);
}

async fn a_write_that_is_refused_leaves_no_entry(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let act = entry(Action::Register, ann.id);
    let taken = store.users.insert(&user("ann@example.com"), &hash("x"), None, Some(&act)).await;
    assert!(matches!(taken, Err(StoreError::Taken)), "{taken:?}");
    let stale = store
        .users
        .update(&User { version: Version(7), ..ann.clone() }, &ann, Some(&entry(Action::Change, ann.id)))
        .await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    let act = entry(Action::ChangePassword, ann.id);
    let stale = store.users.set_password(ann.id, &hash("other"), &hash("second"), None, Some(&act)).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    let stale = store.users.remove(&ann, Some(Version(7)), Some(&entry(Action::Remove, ann.id))).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    assert_eq!(trail(&store).await, []);
    assert_eq!(store.users.get(ann.id).await.unwrap(), Some(ann));
}

/// An entry that is there already stands for whatever the database may have against it.
async fn a_write_whose_entry_is_refused_has_not_happened(on: On) {
    let store = on.open().await;
    let (ann, bob) = (store.with_user("ann@example.com").await, user("bob@example.com"));
    let session = store.with_session(&ann).await;
    let there = entry(Action::Change, ann.id);
    store.users.update(&ann, &ann, Some(&there)).await.unwrap();

    store.users.insert(&bob, &hash("x"), None, Some(&there)).await.unwrap_err();
    assert_eq!(store.users.get(bob.id).await.unwrap(), None);
    let changed = User { role: Role::Admin, version: ann.version.next(), ..ann.clone() };
    store.users.update(&ann, &changed, Some(&there)).await.unwrap_err();
    store.users.set_password(ann.id, &hash("first"), &hash("second"), None, Some(&there)).await.unwrap_err();
    store.users.remove(&ann, None, Some(&there)).await.unwrap_err();
    assert_eq!(store.users.password(ann.id).await.unwrap(), Some(hash("first")));
    assert_eq!(store.sessions.recognise(session.id, now()).await.unwrap(), Some((ann, now())));
    assert_eq!(trail(&store).await, [there]);
}

/// So many entries, the newest first.
async fn filled(store: &Opened, subject: &User, count: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry = entry(Action::Change, subject.id);
        store.users.update(subject, subject, Some(&entry)).await.unwrap();
        entries.insert(0, entry);
    }
    entries
}

async fn the_trail_is_read_from_the_newest_on_after_the_cursor(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let entries = filled(&store, &ann, 5).await;
    let first = store.audit.list(None, None, 2).await.unwrap();
    assert_eq!(first, entries[..2]);
    let second = store.audit.list(None, Some(Cursor(first[1].id)), 2).await.unwrap();
    assert_eq!(second, entries[2..4]);
    assert_eq!(store.audit.list(None, Some(Cursor(second[1].id)), 2).await.unwrap(), entries[4..]);
}

async fn the_trail_of_one_subject_is_its_own(on: On) {
    let store = on.open().await;
    let (ann, bob) = (store.with_user("ann@example.com").await, store.with_user("bob@example.com").await);
    let mut of_ann = filled(&store, &ann, 2).await;
    filled(&store, &bob, 2).await;
    of_ann.splice(0..0, filled(&store, &ann, 2).await);
    assert_eq!(store.audit.list(Some(ann.id), None, 10).await.unwrap(), of_ann);
    let rest = store.audit.list(Some(ann.id), Some(Cursor(of_ann[1].id)), 10).await.unwrap();
    assert_eq!(rest, of_ann[2..]);
    assert_eq!(store.audit.list(Some(UserId::generate()), None, 10).await.unwrap(), []);
}

async fn a_subject_that_is_gone_has_its_trail(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let removed = entry(Action::Remove, ann.id);
    store.users.remove(&ann, None, Some(&removed)).await.unwrap();
    assert_eq!(store.audit.list(Some(ann.id), None, 10).await.unwrap(), [removed]);
}

async fn a_sweep_removes_what_is_old_up_to_its_limit(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    filled(&store, &ann, 5).await;
    assert_eq!(store.audit.sweep(now(), 3).await.unwrap(), 3);
    assert_eq!(store.audit.sweep(now(), 3).await.unwrap(), 2);
    assert_eq!(store.audit.sweep(now(), 3).await.unwrap(), 0);
    assert_eq!(trail(&store).await, []);
}

async fn a_sweep_leaves_what_is_younger(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let entries = filled(&store, &ann, 2).await;
    assert_eq!(store.audit.sweep(now() - TimeDelta::microseconds(1), 10).await.unwrap(), 0);
    assert_eq!(trail(&store).await, entries);
}
