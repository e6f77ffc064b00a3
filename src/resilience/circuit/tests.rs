//! A circuit as several threads use it, and while nobody does.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::Circuit;
use crate::{
    resilience::breaker::{OPEN, Outcome, PROBES, Phase},
    telemetry::Metrics,
};

const BRIEF: Duration = Duration::from_millis(20);
/// So long that nothing is taken for lost, however busy the machine is.
const LONG: Duration = Duration::from_mins(10);

fn patient(patience: Duration) -> Circuit {
    Circuit::new("store", patience, &Metrics::new(10))
}

fn fail(circuit: &Circuit) {
    while let Ok(permit) = circuit.ask() {
        permit.end(Outcome::Failed);
    }
    assert_eq!(circuit.phase(), Phase::Open);
}

#[test]
fn of_many_threads_that_ask_at_once_no_more_probe_than_may() {
    const THREADS: usize = 8;
    let circuit = patient(LONG);
    fail(&circuit);
    thread::park_timeout(OPEN.longest);
    let (all, granted) = (Barrier::new(THREADS), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..100 {
                    all.wait();
                    let probe = circuit.ask().ok();
                    granted.fetch_add(probe.is_some().into(), SeqCst);
                    all.wait();
                    assert_eq!(granted.load(SeqCst), PROBES);
                    all.wait();
                    granted.store(0, SeqCst);
                    drop(probe);
                }
            });
        }
    });
    circuit.ask().expect("every place is free again").end(Outcome::Answered);
    assert_eq!(circuit.phase(), Phase::Closed);
}

#[test]
fn threads_that_call_in_any_order_leave_it_able_to_close() {
    let circuit = patient(BRIEF);
    thread::scope(|scope| {
        for number in 0..8_u32 {
            let circuit = &circuit;
            scope.spawn(move || {
                for turn in 0..5_000_u32 {
                    match (circuit.ask(), (turn + number) % 7) {
                        (Err(_), _) => thread::yield_now(),
                        // A caller that goes away.
                        (Ok(permit), 0) => drop(permit),
                        (Ok(permit), 1..3) => permit.end(Outcome::Answered),
                        (Ok(permit), 3) => permit.end(Outcome::Silent),
                        (Ok(permit), _) => permit.end(Outcome::Failed),
                    }
                }
            });
        }
    });
    let end = Instant::now() + Duration::from_secs(30);
    while circuit.phase() != Phase::Closed {
        assert!(Instant::now() < end, "it closes once calls are answered");
        if let Ok(permit) = circuit.ask() {
            permit.end(Outcome::Answered);
        }
        thread::yield_now();
    }
}

#[test]
fn a_probe_whose_caller_goes_away_leaves_its_place_to_another() {
    let circuit = patient(LONG);
    fail(&circuit);
    thread::park_timeout(OPEN.longest);
    for _ in 0..10 {
        let probes: Vec<_> = (0..PROBES).map(|_| circuit.ask().expect("a place is free")).collect();
        assert!(probes.iter().all(|probe| probe.limit() == Some(LONG)));
        assert!(circuit.ask().is_err());
        drop(probes);
    }
    circuit.ask().expect("a place is free").end(Outcome::Answered);
    assert_eq!(circuit.phase(), Phase::Closed);
    assert_eq!(circuit.ask().expect("it is closed").limit(), None);
}

async fn a_moment() {
    timeout(Duration::from_millis(300), std::future::pending::<()>()).await.expect_err("nothing happens");
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "not within half a minute: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dependency_that_hangs_is_found_out_by_one_call_that_waits_for_it() {
    let circuit = patient(BRIEF);
    let _watch = circuit.watch(std::future::pending::<Outcome>);
    a_moment().await;
    assert_eq!(circuit.phase(), Phase::Closed, "nobody waits for it");
    let waits = circuit.ask().expect("it is closed");
    until("it is open", || circuit.phase() != Phase::Closed).await;
    drop(waits);
}

#[tokio::test]
async fn it_closes_when_the_dependency_is_back_though_nobody_calls() {
    let circuit = patient(BRIEF);
    let (asked, is_well) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (counts, answers) = (Arc::clone(&asked), Arc::clone(&is_well));
    let watch = circuit.watch(move || {
        counts.fetch_add(1, SeqCst);
        let is_well = answers.load(SeqCst);
        async move { if is_well { Outcome::Answered } else { Outcome::Failed } }
    });
    a_moment().await;
    assert_eq!(asked.load(SeqCst), 0, "nothing is in doubt");
    fail(&circuit);
    until("it is asked again and again", || asked.load(SeqCst) >= 3).await;
    assert_ne!(circuit.phase(), Phase::Closed);
    is_well.store(true, SeqCst);
    until("it is closed", || circuit.phase() == Phase::Closed).await;
    drop(watch);
    tokio::task::yield_now().await;
    fail(&circuit);
    let questions = asked.load(SeqCst);
    a_moment().await;
    assert_eq!(asked.load(SeqCst), questions, "nobody looks after it any more");
}

#[tokio::test]
async fn a_question_that_its_asker_gives_up_was_in_vain_if_it_took_its_time() {
    let circuit = patient(Duration::from_millis(200));
    for _ in 0..2 {
        drop(circuit.ping());
    }
    assert_eq!(circuit.phase(), Phase::Closed);
    for _ in 0..2 {
        let ping = circuit.ping();
        a_moment().await;
        drop(ping);
    }
    assert_eq!(circuit.phase(), Phase::Open);
}
