//! The limit against simulated servers: so many of them, each so long at one thing, and work that waits for a free one.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::concurrency::{Bounds, Concurrency, Outcome};

const BOUNDS: Bounds = Bounds { min: 2, start: 16, max: 400, target: Duration::from_millis(50) };

/// What is simulated. One microsecond is the grain.
struct Simulation {
    concurrency: Concurrency,
    epoch: Instant,
    now: u64,
    /// How long one thing takes a server.
    service: u64,
    servers: usize,
    /// When what is being served is ready, and when it began.
    serving: BinaryHeap<Reverse<(u64, u64)>>,
    /// Begun, and waiting for a server, as at the pool of connections.
    queued: VecDeque<u64>,
    done: u64,
    took: u64,
}

impl Simulation {
    fn new(servers: usize, service: Duration) -> Self {
        let epoch = Instant::now();
        Self {
            concurrency: Concurrency::new(BOUNDS, epoch),
            epoch,
            now: 0,
            service: micros(service),
            servers,
            serving: BinaryHeap::new(),
            queued: VecDeque::new(),
            done: 0,
            took: 0,
        }
    }

    fn used(&self) -> usize {
        self.serving.len() + self.queued.len()
    }

    fn at(&self, micros: u64) -> Instant {
        self.epoch + Duration::from_micros(micros)
    }

    fn begin(&mut self) {
        self.queued.push_back(self.now);
        let used = self.used();
        self.concurrency.used(used);
        self.serve();
    }

    fn serve(&mut self) {
        while self.serving.len() < self.servers
            && let Some(began) = self.queued.pop_front()
        {
            // A little more or less, or all would end at once.
            let jitter = (self.done * 7919 + began) % (self.service / 5 + 1);
            self.serving.push(Reverse((self.now + self.service - self.service / 10 + jitter, began)));
        }
    }

    /// Runs for so long, with at most so many clients who ask again at once.
    fn run(&mut self, time: Duration, clients: usize) {
        let end = self.now + micros(time);
        (self.done, self.took) = (0, 0);
        loop {
            while self.used() < clients.min(self.concurrency.limit()) {
                self.begin();
            }
            let Some(Reverse((ready, began))) = self.serving.pop().filter(|Reverse((ready, _))| *ready <= end) else {
                break;
            };
            self.now = ready;
            self.done += 1;
            self.took += ready - began;
            let used = self.used();
            let times = (self.at(began), self.at(ready));
            self.concurrency.ended(times, Outcome::Done, used);
            self.serve();
        }
        self.now = end;
    }

    /// The share of what the servers could do that they did in that time.
    #[expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^52")]
    fn goodput(&self, time: Duration) -> f64 {
        let most = micros(time) / self.service;
        self.done as f64 / (most as f64 * self.servers as f64)
    }

    fn mean(&self) -> Duration {
        Duration::from_micros(self.took / self.done.max(1))
    }

    fn limit(&self) -> usize {
        self.concurrency.limit()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

const CRUSH: usize = 10_000;

#[test]
fn as_much_is_begun_as_is_finished_within_the_target() {
    for (servers, millis) in [(8, 10), (8, 2), (1, 20), (40, 5)] {
        let service = Duration::from_millis(millis);
        let mut simulation = Simulation::new(servers, service);
        simulation.run(Duration::from_secs(2), CRUSH);
        simulation.run(Duration::from_secs(5), CRUSH);
        // What they finish in the 50 ms of the target.
        let little = servers * 50 / usize::try_from(millis).unwrap();
        let limit = simulation.limit();
        assert!((little * 3 / 5..=little * 3 / 2).contains(&limit), "{servers} × {millis} ms: {limit} for {little}");
        assert!(simulation.goodput(Duration::from_secs(5)) > 0.95, "{servers} × {millis} ms: servers are idle");
        assert!(simulation.mean() < Duration::from_millis(65), "{servers} × {millis} ms: {:?}", simulation.mean());
    }
}

#[test]
fn servers_that_are_slower_than_the_target_are_kept_busy_with_a_small_queue() {
    let mut simulation = Simulation::new(8, Duration::from_millis(200));
    // Somebody was there before the crush, as somebody always is.
    simulation.run(Duration::from_secs(5), 2);
    simulation.run(Duration::from_secs(5), CRUSH);
    simulation.run(Duration::from_secs(10), CRUSH);
    assert!((8..=16).contains(&simulation.limit()), "{}", simulation.limit());
    assert!(simulation.goodput(Duration::from_secs(10)) > 0.95);
}

#[test]
fn servers_that_become_slow_in_a_crush_are_found_out_to_be_slow() {
    let mut simulation = Simulation::new(8, Duration::from_millis(10));
    simulation.run(Duration::from_secs(5), CRUSH);
    simulation.service = 200_000;
    simulation.run(Duration::from_secs(20), CRUSH);
    simulation.run(Duration::from_secs(10), CRUSH);
    assert!(simulation.limit() >= 8, "{}", simulation.limit());
    assert!(simulation.goodput(Duration::from_secs(10)) > 0.9);
    simulation.service = 10_000;
    simulation.run(Duration::from_secs(2), CRUSH);
    simulation.run(Duration::from_secs(5), CRUSH);
    assert!(
        simulation.mean() < Duration::from_millis(65),
        "{:?}: what was slow is not believed any longer",
        simulation.mean()
    );
}

#[test]
fn the_limit_follows_when_half_of_the_servers_go_and_when_they_come_back() {
    let mut simulation = Simulation::new(8, Duration::from_millis(10));
    simulation.run(Duration::from_secs(5), CRUSH);
    let whole = simulation.limit();
    simulation.servers = 4;
    simulation.run(Duration::from_secs(2), CRUSH);
    let half = simulation.limit();
    assert!(half * 10 <= whole * 7, "{whole}, then {half}");
    simulation.run(Duration::from_secs(2), CRUSH);
    assert!(simulation.mean() < Duration::from_millis(70), "{:?}", simulation.mean());
    simulation.servers = 8;
    simulation.run(Duration::from_secs(2), CRUSH);
    simulation.run(Duration::from_secs(2), CRUSH);
    assert!(simulation.goodput(Duration::from_secs(2)) > 0.95);
    assert!(simulation.limit() * 10 >= whole * 7, "{whole}, in the end {}", simulation.limit());
}

#[test]
fn a_limit_that_nothing_comes_up_against_stays() {
    let mut simulation = Simulation::new(8, Duration::from_millis(1));
    simulation.run(Duration::from_mins(1), 4);
    assert_eq!(simulation.limit(), BOUNDS.start, "quick, and few at once");
    simulation.service = 400_000;
    simulation.run(Duration::from_mins(1), 12);
    assert_eq!(simulation.limit(), BOUNDS.start, "slow, and few at once: nobody would be served sooner");
    simulation.run(Duration::from_mins(1), 0);
    assert_eq!(simulation.limit(), BOUNDS.start, "nobody at all");
}

#[test]
fn the_limit_stays_within_its_bounds() {
    let mut quick = Simulation::new(1000, Duration::from_millis(1));
    quick.run(Duration::from_secs(10), CRUSH);
    assert_eq!(quick.limit(), BOUNDS.max);
    let mut slow = Simulation::new(1, Duration::from_millis(49));
    slow.run(Duration::from_mins(1), CRUSH);
    assert!((BOUNDS.min..=4).contains(&slow.limit()), "{}", slow.limit());
}

#[test]
fn one_that_got_stuck_moves_nothing() {
    let mut simulation = Simulation::new(8, Duration::from_millis(10));
    simulation.run(Duration::from_secs(5), CRUSH);
    let before = simulation.limit();
    for _ in 0..5 {
        let (stuck, now) = (simulation.at(simulation.now), simulation.at(simulation.now + 9));
        simulation.concurrency.ended((stuck - Duration::from_secs(30), now), Outcome::Done, before);
        simulation.run(Duration::from_secs(1), CRUSH);
        let limit = simulation.limit();
        assert!(limit * 10 >= before * 8 && limit * 8 <= before * 10, "{before}, then {limit}");
    }
}

#[test]
fn failures_are_not_taken_for_speed_but_for_slowness() {
    let mut simulation = Simulation::new(8, Duration::from_millis(10));
    simulation.run(Duration::from_secs(5), CRUSH);
    let before = simulation.limit();
    let end = |simulation: &mut Simulation, took: u64, outcome| {
        for _ in 0..1000 {
            simulation.now += 1000;
            let times = (simulation.at(simulation.now - took), simulation.at(simulation.now));
            simulation.concurrency.ended(times, outcome, before);
        }
    };
    end(&mut simulation, 100, Outcome::Failed);
    end(&mut simulation, 100, Outcome::Nothing);
    end(&mut simulation, 900_000, Outcome::Nothing);
    assert_eq!(simulation.limit(), before);
    simulation.concurrency.used(before);
    end(&mut simulation, 900_000, Outcome::Failed);
    assert!(simulation.limit() < before);
}
