//! A circuit as several threads use it, and while nobody does.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tokio::time::Instant;

use super::Circuit;
use crate::{
    resilience::breaker::{OPEN, Outcome, PROBES, Phase},
    telemetry::Metrics,
};

const PATIENCE: Duration = Duration::from_secs(1);

fn circuit() -> Circuit {
    Circuit::new("store", PATIENCE, &Metrics::new(10))
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
    // So long that nothing is taken for lost, however busy the machine is.
    let circuit = Circuit::new("store", Duration::from_mins(10), &Metrics::new(10));
    fail(&circuit);
    thread::park_timeout(OPEN.longest);
    let (all, granted) = (Barrier::new(THREADS), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..500 {
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
    let circuit = circuit();
    thread::scope(|scope| {
        for number in 0..8_u32 {
            let circuit = &circuit;
            scope.spawn(move || {
                for turn in 0..20_000_u32 {
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
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while circuit.phase() != Phase::Closed {
        assert!(std::time::Instant::now() < end, "it closes once calls are answered");
        if let Ok(permit) = circuit.ask() {
            permit.end(Outcome::Answered);
        }
        thread::yield_now();
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_goes_away_leaves_its_place_to_another() {
    let circuit = circuit();
    fail(&circuit);
    tokio::time::advance(OPEN.longest).await;
    for _ in 0..10 {
        let probes: Vec<_> = (0..PROBES).map(|_| circuit.ask().expect("a place is free")).collect();
        assert!(probes.iter().all(|probe| probe.limit() == Some(PATIENCE)));
        assert!(circuit.ask().is_err());
        drop(probes);
    }
    circuit.ask().expect("a place is free").end(Outcome::Answered);
    assert_eq!(circuit.phase(), Phase::Closed);
    assert_eq!(circuit.ask().expect("it is closed").limit(), None);
}

/// How often it was asked, and what it answers.
fn dependency() -> (Arc<AtomicU32>, Arc<AtomicBool>) {
    (Arc::default(), Arc::default())
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_hangs_is_found_out_by_one_call_that_waits_for_it() {
    let circuit = circuit();
    let _watch = circuit.watch(std::future::pending::<Outcome>);
    let waits = circuit.ask().expect("it is closed");
    let began = Instant::now();
    while circuit.phase() == Phase::Closed {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Half of the patience until somebody looks, and the whole for the question.
    assert!(began.elapsed() <= PATIENCE * 2, "{:?}", began.elapsed());
    drop(waits);
}

#[tokio::test(start_paused = true)]
async fn it_closes_soon_after_the_dependency_is_back_though_nobody_calls() {
    let circuit = circuit();
    let (asked, is_well) = dependency();
    let (counts, answers) = (Arc::clone(&asked), Arc::clone(&is_well));
    let watch = circuit.watch(move || {
        counts.fetch_add(1, SeqCst);
        let is_well = answers.load(SeqCst);
        async move { if is_well { Outcome::Answered } else { Outcome::Failed } }
    });
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(asked.load(SeqCst), 0, "nothing is in doubt");
    fail(&circuit);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_ne!(circuit.phase(), Phase::Closed);
    let questions = asked.load(SeqCst);
    assert!((50..150).contains(&questions), "{questions} questions in a minute");
    is_well.store(true, SeqCst);
    let began = Instant::now();
    while circuit.phase() != Phase::Closed {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() <= OPEN.longest + Duration::from_millis(100), "{:?}", began.elapsed());
    drop(watch);
    fail(&circuit);
    let questions = asked.load(SeqCst);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(asked.load(SeqCst), questions, "nobody looks after it any more");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_its_asker_gives_up_was_in_vain_if_it_took_its_time() {
    let circuit = circuit();
    for _ in 0..10 {
        drop(circuit.ping());
    }
    assert_eq!(circuit.phase(), Phase::Closed);
    for _ in 0..2 {
        let ping = circuit.ping();
        tokio::time::advance(PATIENCE).await;
        drop(ping);
    }
    assert_eq!(circuit.phase(), Phase::Open);
}
