//! Clients who work all the time, whatever happens to the service, and write down what they are told.

mod door;
mod owner;
mod person;
mod shared;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{sync::watch, task::JoinHandle};

use door::Door;
pub(crate) use door::{Answer, Answers};
use owner::{Owned, World};
use person::Person;
use shared::Shared;

use crate::{model::Book, moments, random::Random};

/// How many clients there are: more than one of each kind of work is always under way.
const CLIENTS: usize = 6;

/// How many good answers in a row say that all is well.
const CALM: usize = 30;

/// All clients of one service.
pub(crate) struct Crowd {
    pub(crate) book: Arc<Book>,
    pub(crate) answers: Answers,
    /// Where the service is; nothing while it is away.
    address: watch::Sender<Option<SocketAddr>>,
    stopping: watch::Sender<bool>,
    people: Vec<JoinHandle<Person>>,
}

impl Crowd {
    /// Lets them in.
    pub(crate) async fn start(seed: u64, address: SocketAddr) -> Self {
        let (book, answers) = (Arc::<Book>::default(), Answers::default());
        let (sender, receiver) = watch::channel(Some(address));
        let stopping = watch::Sender::new(false);
        let mut chance = Random::seeded(seed);
        let door = || Door::new(receiver.clone(), Arc::clone(&answers));
        let (page, access) = share(&door(), &book).await;
        let people = (0..CLIENTS).map(|number| {
            let name = format!("client-{number}");
            let shared = Shared { page, access: access.clone(), who: name.clone(), seen: None, count: 0 };
            let mut person = Person {
                name,
                door: door(),
                book: Arc::clone(&book),
                chance: chance.split(),
                owned: Vec::new(),
                shared: Some(shared),
            };
            let mut stops = stopping.subscribe();
            glasshouse::telemetry::spawn("client", async move {
                while !*stops.borrow() {
                    tokio::select! {
                        biased;
                        opened = person.door.opens() => assert!(opened, "a service is away for a moment only"),
                        _ = stops.changed() => break,
                    }
                    person.act().await;
                }
                person
            })
        });
        let people = people.collect();
        Self { book, answers, address: sender, stopping, people }
    }

    /// Says where the service is now.
    pub(crate) fn moves(&self, address: Option<SocketAddr>) {
        self.address.send_replace(address);
    }

    /// Waits until so many more answers have come that the service gave: with success, or any.
    pub(crate) async fn answered(&self, more: usize, counts: impl Fn(&Answer) -> bool) {
        let count = || self.answers.lock().unwrap().iter().filter(|answer| counts(answer)).count();
        let wanted = count() + more;
        moments::within(Duration::from_mins(1), "clients are answered", async || (count() >= wanted).then_some(()))
            .await;
    }

    /// Waits until nothing fails any more: good answers only, for a while, to requests from after that moment.
    pub(crate) async fn calm(&self, since: Instant) {
        let is_calm = async || {
            let answers = self.answers.lock().unwrap();
            let later: Vec<_> = answers.iter().filter(|answer| answer.began > since).collect();
            let last = &later[later.len().saturating_sub(CALM)..];
            let is_fine = last.len() == CALM && last.iter().all(|it| it.status.is_some_and(|status| status < 500));
            (is_fine && last.iter().any(|answer| answer.is_write)).then_some(())
        };
        moments::within(Duration::from_mins(1), "clients are served again", is_calm).await;
    }

    /// Lets them finish what they are doing, and then try everything that they were told.
    pub(crate) async fn stop(self) -> Arc<Book> {
        self.stopping.send_replace(true);
        let mut people = Vec::new();
        for person in self.people {
            people.push(person.await.expect("a client met what it cannot explain"));
        }
        join_all(people.iter_mut().map(Person::try_all)).await;
        self.book
    }
}

/// An account for all, and a session in it.
async fn share(door: &Door, book: &Book) -> (usize, String) {
    let mut owned = Owned::new("everybody@example.com".to_owned(), book);
    let world = World { door, book };
    assert_eq!(owned.register(&world).await.status(), Some(201));
    assert_eq!(owned.sign_in(&world).await.status(), Some(200));
    owned.open().expect("it has just signed in")
}
