//! The decisions of a gate in simulated time: against clients that ask again at once, where servers serve requests and
//! refusals in the order in which they come, and against clients that come whether or not earlier ones are answered.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    concurrency::{Bounds, Outcome},
    held_refusals::{HeldRefusal, HeldRefusals},
    queue::{Arrival, Queue, Waits},
};

const SERVERS: usize = 5;
/// Microseconds, as all numbers here.
const SERVICE: u64 = 1000;
/// A refusal costs a tenth of a request.
const REFUSAL: u64 = 100;
const HELD: u64 = 2_000_000;
const MAX_CONNECTIONS: usize = 8192;
/// The latency objective.
const OBJECTIVE: u64 = 250_000;
/// Before anything is counted, and while it is.
const WARM_UP: u64 = 4_000_000;
const MEASURED: u64 = 6_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client asks.
    Asks,
    /// The next client of an open loop comes.
    Arrives,
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
    places: HeldRefusals,
    held: Vec<HeldRefusal>,
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
    /// Nothing in a closed loop, whose clients ask again. In an open loop, the time between two arrivals; what is short
    /// there is a database, which refusals do not use.
    interval: Option<u64>,
    in_time: u64,
    late: u64,
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

    fn asks_again(&mut self) {
        if self.interval.is_none() {
            self.after(0, Event::Asks);
        }
    }

    fn write_refusal(&mut self) {
        if self.interval.is_none() {
            self.work(REFUSAL, Event::Refused);
        } else {
            self.refused += u64::from(self.now >= WARM_UP);
        }
    }

    fn refuse(&mut self) {
        // The hold comes before the refusal is written; a server writes it after that.
        let is_immediate = self.queue.is_immediate(self.at(self.now));
        let place = if is_immediate { None } else { self.places.hold(Duration::from_micros(HELD)) };
        if let Some((place, time)) = place {
            self.held.push(place);
            self.after(u64::try_from(time.as_micros()).unwrap(), Event::GivesUp { asked: 0, place: 0 });
        } else {
            self.write_refusal();
        }
    }

    fn handle(&mut self, event: Event) {
        let (now, at) = (self.now, self.at(self.now));
        let is_measured = now >= WARM_UP;
        match event {
            Event::Arrives => {
                self.after(self.interval.unwrap(), Event::Arrives);
                self.handle(Event::Asks);
            }
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
                self.held.pop();
                self.write_refusal();
            }
            Event::GivesUp { place, .. } => {
                if self.left.insert(place) {
                    self.refuse();
                }
            }
            Event::Refused => {
                self.refused += u64::from(is_measured);
                self.server_is_free();
                self.asks_again();
            }
            Event::Served { asked, began } => {
                if is_measured {
                    *(if now - asked <= OBJECTIVE { &mut self.in_time } else { &mut self.late }) += 1;
                }
                self.server_is_free();
                self.queue.ended((self.at(began), at), Outcome::Done);
                while let Some(turn) = self.queue.next() {
                    if self.left.insert(turn.place) {
                        self.work(SERVICE, Event::Served { asked: turn.asked, began: now });
                    } else {
                        self.queue.undo();
                    }
                }
                self.asks_again();
            }
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > WARM_UP + MEASURED {
                break;
            }
            self.now = at;
            self.handle(event);
        }
    }

    /// Completions within the objective as a share of what the servers could do.
    #[expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^52")]
    fn goodput(&self) -> f64 {
        self.in_time as f64 / (MEASURED / SERVICE * SERVERS as u64) as f64
    }
}

fn simulation(interval: Option<u64>) -> Simulation {
    let bounds = Bounds { min: 4, start: 32, max: 1024, target: Duration::from_millis(50) };
    let waits = Waits { standing: Duration::from_millis(100), burst: Duration::from_millis(200) };
    let epoch = Instant::now();
    Simulation {
        queue: Queue::new(bounds, waits, epoch),
        places: HeldRefusals::new(MAX_CONNECTIONS),
        held: Vec::new(),
        epoch,
        now: 0,
        events: BinaryHeap::new(),
        number: 0,
        idle: SERVERS,
        ready: VecDeque::new(),
        left: std::collections::HashSet::new(),
        interval,
        in_time: 0,
        late: 0,
        refused: 0,
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^52")]
fn goodput_does_not_collapse_when_clients_ask_again_at_once() {
    for (clients, most_refused) in [(64, 0.0), (256, 0.0), (512, 0.0), (1024, 0.1), (4096, 0.35)] {
        let mut simulation = simulation(None);
        for client in 0..clients {
            simulation.after(client, Event::Asks);
        }
        simulation.run();
        let goodput = simulation.goodput();
        let refused = simulation.refused as f64 / (simulation.in_time + simulation.refused) as f64;
        assert!(goodput >= 0.95, "{clients} clients: {goodput} of the best, {refused} refused");
        assert!(refused <= most_refused, "{clients} clients: {refused} refused");
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^52")]
fn goodput_does_not_collapse_when_more_come_than_can_be_served() {
    for times in [2, 5, 20] {
        let mut simulation = simulation(Some(SERVICE / SERVERS as u64 / times));
        simulation.after(0, Event::Arrives);
        simulation.run();
        let (goodput, late) = (simulation.goodput(), simulation.late);
        assert!(goodput >= 0.95, "{times} times: {goodput} of the best");
        assert!(late * 100 <= simulation.in_time, "{times} times: {late} of {} late", simulation.in_time);
        let answered = (simulation.in_time + simulation.refused) as f64 / MEASURED as f64;
        let came = times as f64 * SERVERS as f64 / SERVICE as f64;
        assert!(answered > 0.9 * came, "{times} times: {answered} answered, {came} came in a microsecond");
    }
}
