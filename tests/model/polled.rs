//! Who looks at a thread from outside never sees a time that is older than the poll it belongs to.

use loom::{
    model,
    sync::{self, Arc},
    thread,
};

#[path = "../../src/telemetry/tasks/polled.rs"]
mod shipped;

use shipped::Polled;

/// Lets one thread poll and another one look; what it sees, by task, is at least as young as that.
fn is_never_older(polls: fn(&Polled), begun: &'static [(u64, u64)]) {
    model(move || {
        let polled = Arc::new(Polled::new());
        let seen = Arc::clone(&polled);
        let looking = thread::spawn(move || {
            if let Some((task, since)) = seen.look() {
                let known = begun.iter().find(|(known, _)| *known == task);
                assert!(known.is_some_and(|(_, began)| since >= *began), "{task} since {since}");
            }
        });
        polls(&polled);
        looking.join().unwrap();
    });
}

#[test]
fn one_poll_after_the_other() {
    let polls = |polled: &Polled| {
        polled.end(polled.begin(7, 10));
        polled.end(polled.begin(8, 20));
    };
    is_never_older(polls, &[(7, 10), (8, 20)]);
}

#[test]
fn the_same_task_again() {
    let polls = |polled: &Polled| {
        polled.end(polled.begin(7, 10));
        polled.end(polled.begin(7, 20));
    };
    is_never_older(polls, &[(7, 10)]);
}

#[test]
fn one_poll_within_another() {
    let polls = |polled: &Polled| {
        let none = polled.begin(7, 10);
        let outer = polled.begin(8, 20);
        polled.end(outer);
        polled.end(none);
    };
    is_never_older(polls, &[(7, 10), (8, 20)]);
}

#[test]
fn a_poll_that_lasts_is_seen() {
    model(|| {
        let polled = Arc::new(Polled::new());
        let none = polled.begin(7, 10);
        let outer = polled.begin(8, 20);
        polled.end(outer);
        let seen = Arc::clone(&polled);
        assert_eq!(thread::spawn(move || seen.look()).join().unwrap(), Some((7, 10)));
        polled.end(none);
        assert_eq!(polled.look(), None);
    });
}
