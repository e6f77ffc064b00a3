//! The model itself, told of stores that keep their word and of stores that do not.

use super::{Account, Event, Outcome, Outcome::*, View, What};

const EMAIL: &str = "ann@example.com";

/// One thing after the other.
fn account(events: &[What]) -> Account {
    let events = (0..).zip(events).map(|(at, what)| Event { began: at * 2, ended: at * 2 + 1, what: what.clone() });
    Account { email: EMAIL.to_owned(), events: events.collect() }
}

fn view(version: i64, name: &str) -> View {
    View { id: "1".to_owned(), email: EMAIL.to_owned(), name: name.to_owned(), version }
}

fn register(outcome: Outcome<View>) -> What {
    What::Register { name: "a".to_owned(), password: "p0".to_owned(), outcome }
}

fn registered() -> What {
    register(Acknowledged(view(1, "a")))
}

fn rename(from: i64, name: &str, outcome: Outcome<()>) -> What {
    let outcome = match outcome {
        Acknowledged(()) => Acknowledged(view(from + 1, name)),
        Denied => Denied,
        Unknown => Unknown,
    };
    What::Rename { from, name: name.to_owned(), outcome }
}

fn seen(version: i64, name: &str) -> What {
    What::Look(Some(view(version, name)))
}

fn repassword(old: &str, new: &str, session: usize, outcome: Outcome<()>) -> What {
    What::Repassword { old: old.to_owned(), new: new.to_owned(), session, outcome }
}

fn tried(password: &str, worked: bool) -> What {
    What::Try { password: password.to_owned(), worked }
}

fn granted(session: usize) -> What {
    What::Grant { session }
}

fn exchange(session: usize, shown: &str, outcome: Outcome<&str>) -> What {
    let outcome = match outcome {
        Acknowledged(next) => Acknowledged(next.to_owned()),
        Denied => Denied,
        Unknown => Unknown,
    };
    What::Exchange { session, shown: shown.to_owned(), outcome }
}

fn knocked(session: usize, worked: bool) -> What {
    What::Knock { session, worked }
}

#[track_caller]
fn fine(events: &[What]) {
    assert_eq!(account(events).faults(), Vec::<String>::new());
}

/// It is found, and said in these words.
#[track_caller]
fn wrong(events: &[What], word: &str) {
    let faults = account(events).faults();
    assert!(faults.iter().any(|fault| fault.contains(word)), "{word}: {faults:?}");
}

#[test]
fn a_store_that_keeps_its_word_has_no_faults() {
    fine(&[registered(), rename(1, "b", Acknowledged(())), seen(2, "b"), rename(2, "c", Unknown), seen(3, "c")]);
    fine(&[registered(), rename(1, "b", Unknown), seen(1, "a"), seen(2, "b"), rename(2, "c", Denied), seen(2, "b")]);
    fine(&[register(Unknown), What::Look(None), register(Denied), seen(1, "a"), What::Remove(Unknown), seen(1, "a")]);
    fine(&[registered(), What::Remove(Unknown), What::Look(None)]);
    fine(&[
        registered(),
        tried("p0", true),
        granted(0),
        repassword("p0", "p1", 0, Unknown),
        tried("p0", true),
        tried("p1", true),
    ]);
    fine(&[registered(), granted(0), exchange(0, "0-0", Unknown), exchange(0, "0-0", Denied), knocked(0, false)]);
    fine(&[
        registered(),
        granted(0),
        granted(1),
        repassword("p0", "p1", 1, Unknown),
        knocked(0, false),
        knocked(1, true),
    ]);
}

#[test]
fn a_lost_registration_is_seen() {
    wrong(&[registered(), What::Look(None)], "lost: it was there");
    wrong(&[register(Unknown), register(Denied), What::Look(None)], "lost: it was there");
    wrong(&[registered(), What::Remove(Denied), What::Look(None)], "lost: it was there");
}

#[test]
fn a_doubled_registration_is_seen() {
    wrong(&[registered(), registered()], "registered 2 times");
    let mut twin = view(1, "a");
    twin.id = "2".to_owned();
    wrong(&[registered(), What::Look(Some(twin))], "registered more than once");
}

#[test]
fn what_comes_out_of_nowhere_is_seen() {
    wrong(&[register(Denied)], "taken before");
    wrong(&[register(Denied), seen(1, "a")], "without having been registered");
    wrong(&[registered(), seen(2, "b")], "nobody made version 2");
    wrong(&[registered(), rename(1, "b", Denied), seen(2, "b")], "nobody made version 2");
    let mut other = view(1, "a");
    other.email = "bob@example.com".to_owned();
    wrong(&[registered(), What::Look(Some(other))], "its address is");
}

#[test]
fn what_was_removed_does_not_come_back() {
    wrong(&[registered(), What::Remove(Acknowledged(())), seen(1, "a")], "after it was removed");
    wrong(&[registered(), What::Remove(Acknowledged(())), tried("p0", true)], "after the account was removed");
    wrong(&[registered(), granted(0), What::Remove(Acknowledged(())), knocked(0, true)], "after it has ended");
}

#[test]
fn a_lost_change_is_seen() {
    wrong(&[registered(), rename(1, "b", Acknowledged(())), seen(1, "a")], "lost: version 2 was there");
    wrong(&[registered(), rename(1, "b", Unknown), seen(2, "b"), seen(1, "a")], "lost: version 2 was there");
}

#[test]
fn a_change_made_twice_is_seen() {
    let twice = [registered(), rename(1, "b", Acknowledged(())), seen(3, "b")];
    wrong(&twice, "nobody made version 3");
    let over_another = [registered(), rename(1, "b", Acknowledged(())), rename(1, "c", Acknowledged(())), seen(2, "c")];
    wrong(&over_another, "made more than once");
    wrong(
        &[registered(), rename(1, "b", Unknown), rename(1, "c", Acknowledged(())), seen(2, "b")],
        "was made otherwise",
    );
}

#[test]
fn a_change_that_is_half_there_is_seen() {
    wrong(&[registered(), rename(1, "b", Unknown), seen(2, "a")], "version 2 is a");
    let mut half = view(1, "b");
    half.name = "a".to_owned();
    wrong(&[registered(), What::Rename { from: 1, name: "b".to_owned(), outcome: Acknowledged(half) }], "got 1 as a");
}

#[test]
fn a_lost_password_is_seen() {
    let changed = || vec![registered(), granted(0), repassword("p0", "p1", 0, Acknowledged(()))];
    let then = |what: What| [changed(), vec![what]].concat();
    fine(&then(tried("p1", true)));
    fine(&then(tried("p0", false)));
    wrong(&then(tried("p0", true)), "that change is lost");
    wrong(&then(tried("p1", false)), "does not work any more");
    wrong(&[registered(), tried("p7", true)], "nobody has chosen it");
    wrong(&[registered(), repassword("p0", "p1", 0, Denied), tried("p1", true)], "nobody has chosen it");
}

#[test]
fn a_lost_session_is_seen() {
    wrong(&[registered(), granted(0), knocked(0, false)], "lost: session 0 was let in");
    wrong(&[registered(), granted(0), exchange(0, "0-0", Denied)], "does not know its newest");
    let exchanged = [registered(), granted(0), exchange(0, "0-0", Acknowledged("0-1")), exchange(0, "0-1", Denied)];
    wrong(&exchanged, "does not know its newest");
}

#[test]
fn a_token_exchanged_twice_is_seen() {
    let twice = [exchange(0, "0-0", Acknowledged("0-1")), exchange(0, "0-0", Acknowledged("0-2"))];
    wrong(&[&[registered(), granted(0)][..], &twice].concat(), "exchanged twice");
}

#[test]
fn a_session_that_outlives_its_end_is_seen() {
    let thief = [exchange(0, "0-0", Acknowledged("0-1")), exchange(0, "0-0", Denied), knocked(0, true)];
    wrong(&[&[registered(), granted(0)][..], &thief].concat(), "after it has ended");
    let repassworded =
        [registered(), granted(0), granted(1), repassword("p0", "p1", 1, Acknowledged(())), knocked(0, true)];
    wrong(&repassworded, "after it has ended");
}

#[test]
fn what_happens_at_the_same_time_has_no_order() {
    let mut both = account(&[registered(), rename(1, "b", Acknowledged(())), seen(1, "a")]);
    assert_eq!(both.faults().len(), 1);
    // The look had begun before the change was acknowledged.
    both.events[2].began = both.events[1].began;
    assert_eq!(both.faults(), Vec::<String>::new());
}
