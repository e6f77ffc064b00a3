//! The promises of `UserStore`.

use chrono::TimeDelta;
use glasshouse::domain::{
    audit::{Action, Actor, Entry},
    users::{Cursor, Email, EmailPrefix, Filter, Name, Role, StoreError, User, UserId, Version},
};

use crate::support::{On, Opened, hash, now, user};

crate::on_all! {
    a_user_is_read_back_as_it_was_written,
    an_unknown_id_is_nobody,
    a_taken_email_is_refused_ignoring_case,
    a_user_that_was_refused_is_not_kept,
    of_twenty_with_one_email_one_is_kept,
    credentials_are_found_ignoring_case,
    an_unknown_address_has_no_credentials,
    the_password_is_found_by_id,
    a_list_is_in_order_of_id_after_the_cursor,
    a_cursor_whose_user_is_gone_still_works,
    list_by_prefix_is_in_order_of_address,
    a_list_can_be_of_one_role,
    a_prefix_is_text_and_no_pattern,
    a_prefix_ignores_case,
    a_prefix_and_a_role_both_count,
    an_update_writes_what_may_change,
    an_update_of_another_version_is_stale,
    an_update_of_nobody_is_stale,
    an_update_to_a_taken_email_is_refused,
    of_twenty_updates_of_one_version_one_is_kept,
    a_new_password_ends_other_sessions_but_keep,
    a_new_password_without_keep_ends_all_sessions,
    a_new_password_moves_neither_version_nor_time,
    a_new_password_over_another_old_one_is_stale_and_ends_nothing,
    a_new_password_of_nobody_is_stale,
    a_removed_user_is_gone_with_its_sessions,
    a_removal_of_another_version_is_stale,
    a_removal_of_any_version_removes,
    a_removal_of_nobody_is_stale,
    removal_of_another_role_is_stale,
    last_admin_is_neither_removed_nor_demoted,
    concurrent_removals_and_demotions_leave_one_admin,
}

async fn a_user_is_read_back_as_it_was_written(on: On) {
    let store = on.open().await;
    let mut written = user("Ann.Lee+x_%@Example.com");
    written.role = Role::Admin;
    written.updated_at = now() + TimeDelta::microseconds(1);
    store.users.insert(&written, &hash("x"), None, None).await.unwrap();
    assert_eq!(store.users.get(written.id).await.unwrap(), Some(written));
}

async fn an_unknown_id_is_nobody(on: On) {
    let store = on.open().await;
    assert_eq!(store.users.get(UserId::generate()).await.unwrap(), None);
    assert!(store.users.password(UserId::generate()).await.unwrap().is_none());
}

async fn a_taken_email_is_refused_ignoring_case(on: On) {
    let store = on.open().await;
    store.with_user("ann@example.com").await;
    let refused = store.users.insert(&user("ANN@example.COM"), &hash("x"), None, None).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");
}

async fn a_user_that_was_refused_is_not_kept(on: On) {
    let store = on.open().await;
    store.with_user("ann@example.com").await;
    let refused = user("Ann@example.com");
    store.users.insert(&refused, &hash("x"), None, None).await.unwrap_err();
    assert_eq!(store.users.get(refused.id).await.unwrap(), None);
}

async fn of_twenty_with_one_email_one_is_kept(on: On) {
    let store = on.open().await;
    let inserts = (0..20).map(|_| async { store.users.insert(&user("ann@example.com"), &hash("x"), None, None).await });
    let (kept, refused): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(inserts).await.into_iter().partition(Result::is_ok);
    assert_eq!(kept.len(), 1);
    assert!(refused.iter().all(|refused| matches!(refused, Err(StoreError::Taken))), "{refused:?}");
}

async fn credentials_are_found_ignoring_case(on: On) {
    let store = on.open().await;
    let ann = store.with_user("Ann@Example.com").await;
    let (found, password) = store.users.credentials(&Email::parse("aNN@eXAMPLE.COM").unwrap()).await.unwrap().unwrap();
    assert_eq!((found, password.as_str()), (ann, hash("first").as_str()));
}

async fn an_unknown_address_has_no_credentials(on: On) {
    let store = on.open().await;
    assert!(store.users.credentials(&Email::parse("ann@example.com").unwrap()).await.unwrap().is_none());
}

async fn the_password_is_found_by_id(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    assert_eq!(store.users.password(ann.id).await.unwrap().unwrap().as_str(), hash("first").as_str());
}

async fn a_list_is_in_order_of_id_after_the_cursor(on: On) {
    let store = on.open().await;
    let mut expected = Vec::new();
    for letter in 'a'..='g' {
        expected.push(store.with_user(&format!("{letter}@example.com")).await);
    }
    expected.sort_by_key(|user| user.id);
    assert_eq!(walk(&store, &Filter::default(), 3).await, expected);
    assert_eq!(store.users.list(&Filter::default(), None, 3).await.unwrap(), expected[..3]);
}

async fn a_cursor_whose_user_is_gone_still_works(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let bob = store.with_user("bob@example.com").await;
    store.users.remove(&ann, None, None).await.unwrap();
    assert_eq!(store.users.list(&Filter::default(), Some(Cursor::Id(ann.id)), 10).await.unwrap(), [bob]);
}

async fn list_by_prefix_is_in_order_of_address(on: On) {
    let store = on.open().await;
    let mut expected = Vec::new();
    for name in ["team-9", "team-1", "team-5", "team-3", "team-7"] {
        expected.push(store.with_user(&format!("{name}@example.com")).await);
        store.with_user(&format!("other-{name}@example.com")).await;
    }
    expected.sort_by_key(|user| user.email.key());
    for limit in [1, 2, 5, 6] {
        assert_eq!(walk(&store, &prefix("team-"), limit).await, expected);
    }
    let whole = prefix("team-5@example.com");
    assert_eq!(walk(&store, &whole, 1).await, expected[2..3], "an address begins with itself");
    let users = Filter { role: Some(Role::User), ..prefix("TEAM-") };
    assert_eq!(walk(&store, &users, 2).await, expected);
    store.users.remove(&expected[1], None, None).await.unwrap();
    let after = Cursor::of(&expected[1], &users);
    assert_eq!(store.users.list(&users, Some(after), 2).await.unwrap(), expected[2..4], "its user is gone");
}

async fn a_list_can_be_of_one_role(on: On) {
    let store = on.open().await;
    store.with_user("ann@example.com").await;
    let admin = User { role: Role::Admin, ..user("bob@example.com") };
    store.users.insert(&admin, &hash("x"), None, None).await.unwrap();
    let filter = Filter { role: Some(Role::Admin), ..Filter::default() };
    assert_eq!(store.users.list(&filter, None, 10).await.unwrap(), [admin]);
}

async fn a_prefix_is_text_and_no_pattern(on: On) {
    let store = on.open().await;
    for name in ["a%b", "a_b", "axb", "a~b", "a'b", "b"] {
        store.with_user(&format!("{name}@example.com")).await;
    }
    assert_eq!(addresses(&store, &prefix("a%")).await, ["a%b@example.com"]);
    assert_eq!(addresses(&store, &prefix("a_")).await, ["a_b@example.com"]);
    assert_eq!(addresses(&store, &prefix("a'")).await, ["a'b@example.com"]);
    assert_eq!(addresses(&store, &prefix("a~")).await, ["a~b@example.com"]);
    assert_eq!(addresses(&store, &prefix("a")).await.len(), 5);
}

async fn a_prefix_ignores_case(on: On) {
    let store = on.open().await;
    store.with_user("Ann@Example.com").await;
    assert_eq!(addresses(&store, &prefix("aNN@e")).await, ["Ann@Example.com"]);
}

async fn a_prefix_and_a_role_both_count(on: On) {
    let store = on.open().await;
    store.with_user("ann@example.com").await;
    for email in ["anna@example.com", "bob@example.com"] {
        store.users.insert(&User { role: Role::Admin, ..user(email) }, &hash("x"), None, None).await.unwrap();
    }
    let filter = Filter { role: Some(Role::Admin), ..prefix("ann") };
    assert_eq!(addresses(&store, &filter).await, ["anna@example.com"]);
}

async fn an_update_writes_what_may_change(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let changed = User {
        email: Email::parse("Lee@example.com").unwrap(),
        name: Name::parse("Lee").unwrap(),
        role: Role::Admin,
        version: ann.version.next(),
        updated_at: now() + TimeDelta::microseconds(7),
        ..ann.clone()
    };
    store.users.update(&ann, &changed, None).await.unwrap();
    assert_eq!(store.users.get(ann.id).await.unwrap().as_ref(), Some(&changed));
    let (found, _) = store.users.credentials(&changed.email).await.unwrap().unwrap();
    assert_eq!(found, changed);
    assert!(store.users.credentials(&ann.email).await.unwrap().is_none());
}

async fn an_update_of_another_version_is_stale(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let changed = User { name: Name::parse("Lee").unwrap(), version: Version(3), ..ann.clone() };
    let refused = store.users.update(&User { version: Version(2), ..ann.clone() }, &changed, None).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!(store.users.get(ann.id).await.unwrap(), Some(ann));
}

async fn an_update_of_nobody_is_stale(on: On) {
    let store = on.open().await;
    let ann = user("ann@example.com");
    let refused = store.users.update(&ann, &ann, None).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

async fn an_update_to_a_taken_email_is_refused(on: On) {
    let store = on.open().await;
    store.with_user("ann@example.com").await;
    let bob = store.with_user("bob@example.com").await;
    let changed = User { email: Email::parse("ANN@example.com").unwrap(), ..bob.clone() };
    let refused = store.users.update(&bob, &changed, None).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");
    assert_eq!(store.users.get(bob.id).await.unwrap(), Some(bob));
}

async fn of_twenty_updates_of_one_version_one_is_kept(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let changed = User { version: ann.version.next(), ..ann.clone() };
    let updates = (0..20).map(|_| store.users.update(&ann, &changed, None));
    let results = futures_util::future::join_all(updates).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(StoreError::Stale))), "{results:?}");
}

async fn a_new_password_ends_other_sessions_but_keep(on: On) {
    let store = on.open().await;
    let (ann, bob) = (store.with_user("ann@example.com").await, store.with_user("bob@example.com").await);
    let (kept, ended) = (store.with_session(&ann).await, store.with_session(&ann).await);
    let foreign = store.with_session(&bob).await;
    store.users.set_password(ann.id, &hash("first"), &hash("second"), Some(kept.id), None).await.unwrap();
    assert_eq!(store.users.password(ann.id).await.unwrap().unwrap().as_str(), hash("second").as_str());
    assert_eq!(store.sessions.recognise(kept.id, now()).await.unwrap(), Some((ann, now())));
    assert_eq!(store.sessions.recognise(ended.id, now()).await.unwrap(), None);
    assert_eq!(store.sessions.recognise(foreign.id, now()).await.unwrap(), Some((bob, now())));
}

async fn a_new_password_without_keep_ends_all_sessions(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    store.users.set_password(ann.id, &hash("first"), &hash("second"), None, None).await.unwrap();
    assert_eq!(store.sessions.recognise(session.id, now()).await.unwrap(), None);
}

async fn a_new_password_moves_neither_version_nor_time(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    store.users.set_password(ann.id, &hash("first"), &hash("second"), None, None).await.unwrap();
    assert_eq!(store.users.get(ann.id).await.unwrap(), Some(ann));
}

async fn a_new_password_over_another_old_one_is_stale_and_ends_nothing(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    let refused = store.users.set_password(ann.id, &hash("other"), &hash("second"), None, None).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!(store.users.password(ann.id).await.unwrap().unwrap().as_str(), hash("first").as_str());
    assert!(store.sessions.recognise(session.id, now()).await.unwrap().is_some());
}

async fn a_new_password_of_nobody_is_stale(on: On) {
    let store = on.open().await;
    let refused = store.users.set_password(UserId::generate(), &hash("first"), &hash("second"), None, None).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

async fn a_removed_user_is_gone_with_its_sessions(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    store.users.remove(&ann, Some(ann.version), None).await.unwrap();
    assert_eq!(store.users.get(ann.id).await.unwrap(), None);
    // All sessions there are have expired by then; none is left to be counted.
    assert_eq!(store.sessions.sweep(session.expires_at, 10).await.unwrap(), 0);
    store.with_user("ann@example.com").await;
}

async fn a_removal_of_another_version_is_stale(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let refused = store.users.remove(&ann, Some(Version(2)), None).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!(store.users.get(ann.id).await.unwrap(), Some(ann));
}

async fn a_removal_of_any_version_removes(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    store.users.remove(&ann, None, None).await.unwrap();
    assert_eq!(store.users.get(ann.id).await.unwrap(), None);
}

async fn a_removal_of_nobody_is_stale(on: On) {
    let store = on.open().await;
    for expected in [None, Some(Version::FIRST)] {
        let refused = store.users.remove(&user("ann@example.com"), expected, None).await;
        assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    }
}

async fn removal_of_another_role_is_stale(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let promoted = User { role: Role::Admin, version: ann.version.next(), ..ann.clone() };
    store.users.update(&ann, &promoted, None).await.unwrap();
    let refused = store.users.remove(&ann, None, None).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

async fn last_admin_is_neither_removed_nor_demoted(on: On) {
    let store = on.open().await;
    store.with_user("ann@example.com").await;
    let [root, second] = [with_admin(&store, "root@example.com").await, with_admin(&store, "second@example.com").await];
    let demoted = User { role: Role::User, version: second.version.next(), ..second.clone() };
    store.users.update(&second, &demoted, None).await.unwrap();
    for entry in [None, Some(&Entry::new(now(), Actor::Admin(root.id), Action::Remove, root.id))] {
        for expected in [None, Some(root.version)] {
            let refused = store.users.remove(&root, expected, entry).await;
            assert!(matches!(refused, Err(StoreError::LastAdmin)), "{refused:?}");
        }
        let demoted = User { role: Role::User, version: root.version.next(), ..root.clone() };
        let refused = store.users.update(&root, &demoted, entry).await;
        assert!(matches!(refused, Err(StoreError::LastAdmin)), "{refused:?}");
    }
    assert_eq!(store.users.get(root.id).await.unwrap(), Some(root));
    store.users.remove(&demoted, None, None).await.unwrap();
}

async fn concurrent_removals_and_demotions_leave_one_admin(on: On) {
    let store = on.open().await;
    let mut admins: Vec<User> = Vec::new();
    for round in 0..5 {
        for number in admins.len()..6 {
            admins.push(with_admin(&store, &format!("admin{number}-{round}@example.com")).await);
        }
        let acts = admins.iter().enumerate().map(|(number, admin)| {
            let store = &store;
            async move {
                if number % 2 == round % 2 {
                    return store.users.remove(admin, None, None).await;
                }
                let demoted = User { role: Role::User, version: admin.version.next(), ..admin.clone() };
                store.users.update(admin, &demoted, None).await
            }
        });
        let results = futures_util::future::join_all(acts).await;
        let refused = results.iter().filter(|result| matches!(result, Err(StoreError::LastAdmin))).count();
        assert_eq!((refused, results.iter().filter(|result| result.is_ok()).count()), (1, 5), "{results:?}");
        let filter = Filter { role: Some(Role::Admin), email_prefix: None };
        admins = store.users.list(&filter, None, 10).await.unwrap();
        assert_eq!(admins.len(), 1);
    }
}

async fn with_admin(store: &Opened, email: &str) -> User {
    let admin = User { role: Role::Admin, ..user(email) };
    store.users.insert(&admin, &hash("first"), None, None).await.unwrap();
    admin
}

/// Every page after another.
async fn walk(store: &Opened, filter: &Filter, limit: u32) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    loop {
        let after = users.last().map(|last| Cursor::of(last, filter));
        let page = store.users.list(filter, after, limit).await.unwrap();
        if page.is_empty() {
            return users;
        }
        users.extend(page);
    }
}

async fn addresses(store: &Opened, filter: &Filter) -> Vec<String> {
    walk(store, filter, 10).await.iter().map(|user| user.email.as_str().to_owned()).collect()
}

fn prefix(text: &str) -> Filter {
    Filter { email_prefix: Some(EmailPrefix::parse(text).unwrap()), ..Filter::default() }
}
