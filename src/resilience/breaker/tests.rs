//! Each rule of the machine, and any sequence of events.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Breaker, OPEN, Outcome, PROBES, Phase, QUIET, Reason, Ticket};

const PATIENCE: Duration = Duration::from_secs(1);
const SHORTLY: Duration = Duration::from_millis(1);

/// A breaker and its clock.
struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self { breaker: Breaker::new(PATIENCE, now), now }
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn ask(&mut self) -> Option<Ticket> {
        self.breaker.ask(self.now)
    }

    fn end(&mut self, ticket: Ticket, outcome: Outcome) {
        self.breaker.end(ticket, outcome, self.now, 1.0);
    }

    /// A call that is let through and takes a moment.
    fn call(&mut self, outcome: Outcome) {
        let ticket = self.ask().expect("it is let through");
        self.pass(SHORTLY).end(ticket, outcome);
    }

    /// A ping that takes a moment.
    fn ping(&mut self, outcome: Outcome) {
        let began = self.now;
        self.pass(SHORTLY);
        self.breaker.pinged(began, outcome, self.now, 1.0);
    }

    fn wants_ping(&mut self) -> bool {
        self.breaker.wants_ping(self.now)
    }

    fn phase(&self) -> Phase {
        self.breaker.phase().0
    }

    fn reason(&self) -> Reason {
        self.breaker.phase().1
    }

    /// One that has just opened.
    fn opened() -> Self {
        let mut bench = Self::new();
        for _ in 0..5 {
            bench.call(Outcome::Failed);
        }
        assert_eq!((bench.phase(), bench.reason()), (Phase::Open, Reason::Failures));
        bench
    }
}

#[test]
fn half_of_the_calls_open_it_and_fewer_do_not() {
    let mut bench = Bench::new();
    for _ in 0..20 {
        bench.call(Outcome::Answered);
        bench.call(Outcome::Answered);
        bench.call(Outcome::Failed);
    }
    assert_eq!(bench.phase(), Phase::Closed);
    for _ in 0..20 {
        assert_eq!(bench.phase(), Phase::Closed);
        bench.call(Outcome::Failed);
    }
    assert_eq!((bench.phase(), bench.reason()), (Phase::Open, Reason::Failures));
}

#[test]
fn a_few_failures_prove_nothing_and_old_ones_are_forgotten() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        for _ in 0..4 {
            bench.call(Outcome::Failed);
        }
        bench.pass(Duration::from_secs(10));
    }
    assert_eq!(bench.phase(), Phase::Closed);
}

#[test]
fn calls_that_are_answered_or_given_up_never_open_it() {
    let mut bench = Bench::new();
    for _ in 0..1000 {
        bench.call(Outcome::Abandoned);
        bench.call(Outcome::Answered);
        bench.call(Outcome::Abandoned);
    }
    assert_eq!(bench.phase(), Phase::Closed);
    assert!(bench.breaker.is_doubted(), "but perhaps the last was given up because it got no answer");
    bench.ping(Outcome::Answered);
    assert!(!bench.breaker.is_doubted());
}

#[test]
fn one_failure_among_few_calls_is_enough_if_a_ping_fails_after_it() {
    for outcome in [Outcome::Failed, Outcome::Silent] {
        let mut bench = Bench::new();
        assert!(!bench.wants_ping());
        bench.call(Outcome::Failed);
        assert!(bench.wants_ping());
        bench.ping(outcome);
        assert_eq!((bench.phase(), bench.reason()), (Phase::Open, Reason::Dead));
    }
    let mut bench = Bench::new();
    bench.call(Outcome::Failed);
    bench.ping(Outcome::Answered);
    bench.ping(Outcome::Failed);
    assert_eq!(bench.phase(), Phase::Closed, "in between it was answered");
}

#[test]
fn two_questions_at_once_are_one() {
    let mut bench = Bench::new();
    let began = bench.now;
    bench.pass(PATIENCE);
    for _ in 0..2 {
        bench.breaker.pinged(began, Outcome::Silent, bench.now, 1.0);
    }
    assert_eq!(bench.phase(), Phase::Closed);
    bench.ping(Outcome::Silent);
    assert_eq!(bench.phase(), Phase::Open);
}

#[test]
fn a_call_that_nobody_answers_is_noticed_while_it_waits() {
    let mut bench = Bench::new();
    bench.call(Outcome::Answered);
    let waits = bench.ask();
    assert!(waits.is_some() && !bench.pass(PATIENCE / 2).wants_ping());
    assert!(bench.pass(PATIENCE / 2).wants_ping());
    bench.ping(Outcome::Silent);
    assert_eq!((bench.phase(), bench.reason()), (Phase::Open, Reason::Dead));
}

#[test]
fn silence_is_nothing_while_others_are_answered() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        let waits = bench.ask().unwrap();
        let began = bench.now;
        bench.call(Outcome::Answered);
        bench.end(waits, Outcome::Silent);
        bench.breaker.pinged(began, Outcome::Silent, bench.now, 1.0);
    }
    assert_eq!(bench.phase(), Phase::Closed);
    assert!(!bench.breaker.is_doubted());
}

#[test]
fn open_it_refuses_until_its_time_is_over_and_then_lets_a_few_probe() {
    let mut bench = Bench::opened();
    assert!(bench.ask().is_none());
    bench.pass(OPEN.first.saturating_sub(SHORTLY));
    assert!(bench.ask().is_none());
    bench.pass(SHORTLY);
    let probes: Vec<_> = (0..10).filter_map(|_| bench.ask()).collect();
    assert_eq!(u32::try_from(probes.len()), Ok(PROBES));
    assert!(probes.iter().all(|probe| probe.is_probe));
    bench.end(probes[0], Outcome::Answered);
    assert_eq!((bench.phase(), bench.reason()), (Phase::Closed, Reason::ProbeAnswered));
    bench.end(probes[1], Outcome::Failed);
    assert!(bench.phase() == Phase::Closed && !bench.breaker.is_doubted(), "a probe of before says nothing of now");
}

#[test]
fn a_probe_that_fails_opens_it_again_for_longer_up_to_a_bound() {
    let mut bench = Bench::opened();
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(bench.breaker.rest(bench.now).unwrap());
        bench.pass(*waits.last().unwrap()).call(Outcome::Failed);
        assert_eq!((bench.phase(), bench.reason()), (Phase::Open, Reason::ProbeFailed));
    }
    assert_eq!(waits, [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis));
    bench.pass(OPEN.longest).call(Outcome::Answered);
    for _ in 0..5 {
        bench.call(Outcome::Failed);
    }
    assert_eq!(bench.breaker.rest(bench.now), Some(OPEN.longest), "soon after it is still the same outage");
    bench.pass(OPEN.longest).call(Outcome::Answered);
    bench.pass(Duration::from_secs(10));
    for _ in 0..5 {
        bench.call(Outcome::Failed);
    }
    assert_eq!(bench.breaker.rest(bench.now), Some(OPEN.first));
}

#[test]
fn a_probe_that_is_given_up_or_forgotten_keeps_nobody_out_for_ever() {
    let mut bench = Bench::opened();
    bench.pass(OPEN.first);
    for _ in 0..100 {
        bench.call(Outcome::Abandoned);
        assert_eq!(bench.phase(), Phase::HalfOpen);
    }
    while bench.ask().is_some() {}
    bench.pass(PATIENCE * 2);
    bench.call(Outcome::Answered);
    assert_eq!(bench.phase(), Phase::Closed);
}

#[test]
fn an_answered_ping_closes_it_if_nobody_calls() {
    let mut bench = Bench::opened();
    bench.pass(QUIET);
    bench.ping(Outcome::Answered);
    assert_eq!((bench.phase(), bench.reason()), (Phase::Closed, Reason::PingAnswered));
}

#[test]
fn an_answered_ping_lets_those_who_call_find_out_for_themselves() {
    let mut bench = Bench::opened();
    bench.ping(Outcome::Answered);
    assert_eq!((bench.phase(), bench.reason()), (Phase::HalfOpen, Reason::PingAnswered));
    let probe = bench.ask().unwrap();
    bench.ping(Outcome::Answered);
    bench.end(probe, Outcome::Silent);
    assert_eq!((bench.phase(), bench.reason()), (Phase::Open, Reason::ProbeFailed));
    bench.ping(Outcome::Answered);
    bench.pass(QUIET);
    assert!(bench.wants_ping(), "perhaps nobody calls any more");
    bench.ping(Outcome::Answered);
    assert_eq!(bench.phase(), Phase::Closed);
}

#[test]
fn a_ping_that_fails_keeps_it_open() {
    let mut bench = Bench::opened();
    for _ in 0..20 {
        let rest = bench.breaker.rest(bench.now).unwrap();
        assert!(rest <= OPEN.longest && !bench.wants_ping());
        bench.pass(rest);
        assert!(bench.wants_ping());
        bench.ping(Outcome::Failed);
        assert_eq!((bench.phase(), bench.reason()), (Phase::Open, Reason::Dead));
    }
}

#[test]
fn rest_ends_when_a_call_is_in_flight() {
    let mut bench = Bench::new();
    assert_eq!((bench.breaker.rest(bench.now), bench.breaker.is_resting()), (None, true));
    let ticket = bench.ask().unwrap();
    assert!(!bench.breaker.is_resting());
    assert!(bench.breaker.rest(bench.now).is_some() && !bench.breaker.is_resting());
    bench.end(ticket, Outcome::Failed);
    assert!(bench.breaker.rest(bench.now).is_some(), "there is doubt");
    bench.ping(Outcome::Answered);
    assert_eq!(bench.breaker.rest(bench.now), None);
}

/// What may happen, in any order.
#[derive(Debug, Clone, Copy)]
enum Event {
    Ask,
    /// The call of that number, among those under way, ends.
    End(usize, Outcome),
    /// It never says how it ended.
    Forget(usize),
    Ping(Outcome),
    Look,
    Pass(u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let outcome = || {
        prop_oneof![
            Just(Outcome::Answered),
            Just(Outcome::Failed),
            Just(Outcome::Failed),
            Just(Outcome::Silent),
            Just(Outcome::Abandoned)
        ]
    };
    let event = prop_oneof![
        4 => Just(Event::Ask),
        4 => (any::<usize>(), outcome()).prop_map(|(call, outcome)| Event::End(call, outcome)),
        1 => any::<usize>().prop_map(Event::Forget),
        2 => outcome().prop_map(Event::Ping),
        1 => Just(Event::Look),
        2 => (0_u32..1500).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 0..200)
}

proptest! {
    #[test]
    fn whatever_happens_it_lets_no_more_probe_than_it_may_and_closes_once_calls_are_answered(events in events()) {
        let mut bench = Bench::new();
        let mut calls: Vec<Ticket> = Vec::new();
        for event in events {
            let before = bench.breaker.phase();
            match event {
                Event::Ask => calls.extend(bench.ask()),
                Event::End(call, outcome) if !calls.is_empty() => {
                    let ticket = calls.swap_remove(call % calls.len());
                    bench.end(ticket, outcome);
                }
                Event::Forget(call) if !calls.is_empty() => {
                    calls.swap_remove(call % calls.len());
                }
                Event::End(..) | Event::Forget(_) => {}
                Event::Ping(outcome) => bench.ping(outcome),
                Event::Look => drop(bench.wants_ping()),
                Event::Pass(millis) => drop(bench.pass(Duration::from_millis(millis.into()))),
            }
            let (phase, _, epoch) = bench.breaker.phase();
            prop_assert!(epoch > before.2 || (epoch == before.2 && phase == before.0));
            let probes = calls.iter().filter(|call| call.is_probe && call.epoch == epoch).count();
            prop_assert!(probes <= PROBES as usize, "{probes} probes at once");
            if phase == Phase::Closed {
                prop_assert_eq!(probes, 0);
            }
            let rest = bench.breaker.rest(bench.now);
            let may_wait = phase == Phase::Closed && calls.is_empty() && !bench.breaker.is_doubted();
            prop_assert!(rest.map_or(may_wait, |rest| rest <= OPEN.longest), "somebody looks soon");
        }
        // Nobody ends what is under way. Each second somebody calls, and is answered.
        for _ in 0..4 {
            bench.pass(Duration::from_secs(1));
            if let Some(ticket) = bench.ask() {
                bench.pass(SHORTLY).end(ticket, Outcome::Answered);
            }
        }
        prop_assert_eq!(bench.phase(), Phase::Closed);
    }

    #[test]
    fn whatever_happened_it_closes_without_a_call_once_pings_are_answered(events in events()) {
        let mut bench = Bench::new();
        for event in events {
            match event {
                Event::Ask => drop(bench.ask()),
                Event::Ping(outcome) => bench.ping(outcome),
                Event::End(_, outcome) => {
                    if let Some(ticket) = bench.ask() {
                        bench.end(ticket, outcome);
                    }
                }
                Event::Forget(_) | Event::Look => {}
                Event::Pass(millis) => drop(bench.pass(Duration::from_millis(millis.into()))),
            }
        }
        for _ in 0..4 {
            let rest = bench.breaker.rest(bench.now).unwrap_or_default();
            if bench.pass(rest).wants_ping() {
                bench.ping(Outcome::Answered);
            }
        }
        prop_assert_eq!(bench.phase(), Phase::Closed);
    }
}
