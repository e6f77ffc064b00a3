//! The decisions of a gate against clients that ask again at once, in simulated time: servers that serve requests and
//! refusals in the order in which they come.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    concurrency::{Bounds, Outcome},
    queue::{Arrival, Queue, Waits},
};

const SERVERS: usize = 5;
/// Microseconds, as all numbers here.
const SERVICE: u64 = 1000;
/// A refusal costs a tenth of a request.
const REFUSAL: u64 = 100;
const HELD: u64 = 2_000_000;
/// The latency objective.
const OBJECTIVE: u64 = 250_000;
/// Before anything is counted, and while it is.
const WARM_UP: u64 = 4_000_000;
const MEASURED: u64 = 6_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client asks.
    Asks,
    /// A server is done with a request that was asked for and begun then.
    Served { asked: u64, began: u64 },
    /// A server has written a refusal.
    Refused,
    /// Those that have waited long enough leave the queue.
    GivesUp { asked: u64, place: u64 },
}

/// What waits in the queue.
#[derive(Debug, Clone, Copy)]
struct Turn {
    asked: u64,
    place: u64,
    until: u64,
}

struct Simulation {
    queue: Queue<Turn>,
    epoch: Instant,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    /// Breaks ties, and names places in the queue.
    number: u64,
    idle: usize,
    /// What waits for a server.
    ready: VecDeque<(u64, Event)>,
    /// Places that have begun or were given up.
    left: std::collections::HashSet<u64>,
    in_time: u64,
    refused: u64,
}

impl Simulation {
    fn at(&self, micros: u64) -> Instant {
        self.epoch + Duration::from_micros(micros)
    }

    fn after(&mut self, time: u64, event: Event) {
        self.number += 1;
        self.events.push(Reverse((self.now + time, self.number, event)));
    }

    /// Gives work to a server, now or when one is free.
    fn work(&mut self, time: u64, then: Event) {
        if self.idle == 0 {
            self.ready.push_back((time, then));
            return;
        }
        self.idle -= 1;
        self.after(time, then);
    }

    fn server_is_free(&mut self) {
        self.idle += 1;
        if let Some((time, then)) = self.ready.pop_front() {
            self.idle -= 1;
            self.after(time, then);
        }
    }

    fn refuse(&mut self) {
        let is_held = self.queue.hold(self.at(self.now));
        // The hold comes before the refusal is written; a server writes it after that.
        if is_held {
            self.after(HELD, Event::GivesUp { asked: 0, place: 0 });
        } else {
            self.work(REFUSAL, Event::Refused);
        }
    }

    fn handle(&mut self, event: Event) {
        let (now, at) = (self.now, self.at(self.now));
        let is_measured = now >= WARM_UP;
        match event {
            Event::Asks => match self.queue.arrive(at, 0, Duration::MAX, |turn| turn.until <= now) {
                Arrival::Begins => self.work(SERVICE, Event::Served { asked: now, began: now }),
                Arrival::Waits(wait) => {
                    self.number += 1;
                    let wait = u64::try_from(wait.as_micros()).unwrap();
                    let place = self.number;
                    self.queue.push(at, Turn { asked: now, place, until: now + wait }, 0);
                    self.after(wait, Event::GivesUp { asked: now, place });
                }
                Arrival::Refused => self.refuse(),
            },
            Event::GivesUp { place: 0, .. } => {
                self.queue.release();
                self.work(REFUSAL, Event::Refused);
            }
            Event::GivesUp { place, .. } => {
                if self.left.insert(place) {
                    self.refuse();
                }
            }
            Event::Refused => {
                self.refused += u64::from(is_measured);
                self.server_is_free();
                self.after(0, Event::Asks);
            }
            Event::Served { asked, began } => {
                self.in_time += u64::from(is_measured && now - asked <= OBJECTIVE);
                self.server_is_free();
                self.queue.ended((self.at(began), at), Outcome::Done);
                while let Some(turn) = self.queue.next() {
                    if self.left.insert(turn.place) {
                        self.work(SERVICE, Event::Served { asked: turn.asked, began: now });
                    } else {
                        self.queue.undo();
                    }
                }
                self.after(0, Event::Asks);
            }
        }
    }
}

/// Completions within the objective as a share of what the servers could do, and refusals as a share of all answers.
#[expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^52")]
fn closed_loop(clients: u64) -> (f64, f64) {
    let bounds = Bounds { min: 4, start: 32, max: 1024, target: Duration::from_millis(50) };
    let waits = Waits { standing: Duration::from_millis(100), burst: Duration::from_millis(200) };
    let epoch = Instant::now();
    let mut simulation = Simulation {
        queue: Queue::new(bounds, waits, epoch),
        epoch,
        now: 0,
        events: BinaryHeap::new(),
        number: 0,
        idle: SERVERS,
        ready: VecDeque::new(),
        left: std::collections::HashSet::new(),
        in_time: 0,
        refused: 0,
    };
    for client in 0..clients {
        simulation.after(client, Event::Asks);
    }
    while let Some(Reverse((at, _, event))) = simulation.events.pop() {
        if at > WARM_UP + MEASURED {
            break;
        }
        simulation.now = at;
        simulation.handle(event);
    }
    let (in_time, refused) = (simulation.in_time as f64, simulation.refused as f64);
    let most = (MEASURED / SERVICE * SERVERS as u64) as f64;
    (in_time / most, refused / (in_time + refused))
}

#[test]
fn goodput_does_not_collapse_when_clients_ask_again_at_once() {
    for (clients, most_refused) in [(64, 0.0), (256, 0.0), (512, 0.0), (1024, 0.1), (4096, 0.35)] {
        let (goodput, refused) = closed_loop(clients);
        assert!(goodput >= 0.95, "{clients} clients: {goodput} of the best, {refused} refused");
        assert!(refused <= most_refused, "{clients} clients: {refused} refused");
    }
}
