//! What to break, as whoever operates the service asks for it.

use std::time::Duration;

use glasshouse::{
    faults::{Config, Known, Refusal, Switchboard},
    telemetry::{Metrics, Outage},
};
use tokio::runtime::{Builder, Runtime};

use super::Trial;

const LONG: Duration = Duration::from_mins(10);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Whatever is accepted is shown as what it is: asked for again as it is shown, it is the same. It begins and ends.
pub(super) fn target() -> Trial {
    let (main, own) = (runtime(), runtime());
    let known = Known {
        routes: vec![("GET", "/users"), ("POST", "/users"), ("GET", "/users/{id}")],
        statements: vec!["BEGIN", "SELECT users"],
        workers: 1,
    };
    let handle = main.handle().clone();
    let board = Switchboard::new(Config { allowed: true }, known, handle, Outage::default(), &Metrics::new(100));
    Box::new(move |input| {
        let _alive = &main;
        let _own = own.enter();
        match board.set(input, LONG) {
            Ok(()) => {
                let shown = board.shown()["on"].clone();
                board.set(shown.to_string().as_bytes(), LONG).expect("what is shown is accepted");
                assert_eq!(board.shown()["on"], shown);
            }
            Err(Refusal::Wrong(reason)) => assert!(!reason.is_empty()),
            Err(other) => panic!("{other}"),
        }
        board.end().unwrap();
        assert!(!board.is_on());
    })
}
