//! What clients know of what they asked for, and what must then be true: no acknowledged write is lost, none is done
//! twice, and nothing is there that nobody asked for.
//!
//! Clients work at the same time and the service dies under them, so the model never guesses an order: each event has
//! the moment before which it was not asked for and the moment after which its answer was there, and only what had ended
//! before another began came before it. What was answered with nothing or with a failure may have happened, now or later.

mod existence;
mod passwords;
mod sessions;
#[cfg(test)]
mod tests;
mod versions;

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// A moment of the clients' common clock, which only counts.
pub(crate) type Moment = u64;

/// How a write ended, as its client knows it. One that was refused before anything could happen is no event at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    /// It has happened, with this answer.
    Acknowledged(T),
    /// It has not happened, and never will: the service looked at it and said no.
    Denied,
    /// Nobody knows: the answer did not come, or says that something failed.
    Unknown,
}

impl<T> Outcome<T> {
    /// Whether it has happened or may have.
    pub(crate) const fn may_have_happened(&self) -> bool {
        !matches!(self, Self::Denied)
    }

    const fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Acknowledged(_))
    }
}

/// An account as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) version: i64,
}

/// What a client did or saw.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// The account was asked for, under this name and with this password. Denied because the address is taken.
    Register { name: String, password: String, outcome: Outcome<View> },
    /// Another name for whoever is still of that version.
    Rename { from: i64, name: String, outcome: Outcome<View> },
    /// It was looked for: as it is, or not there.
    Look(Option<View>),
    /// Another password, asked for in that session.
    Repassword { old: String, new: String, session: usize, outcome: Outcome<()> },
    /// That password was shown, and was right or not.
    Try { password: String, worked: bool },
    /// The account was to go.
    Remove(Outcome<()>),
    /// A session began.
    Grant { session: usize },
    /// A refresh token was to be exchanged for the next one.
    Exchange { session: usize, shown: String, outcome: Outcome<String> },
    /// The access token of that session was shown, and was good or not.
    Knock { session: usize, worked: bool },
}

/// Something that happened between two moments.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) began: Moment,
    pub(crate) ended: Moment,
    pub(crate) what: What,
}

/// Everything that is known of one account.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) email: String,
    pub(crate) events: Vec<Event>,
}

impl Account {
    /// What is wrong with it; nothing if it is as it must be.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = existence::faults(self);
        faults.extend(versions::faults(self));
        faults.extend(passwords::faults(self));
        faults.extend(sessions::faults(self));
        faults.into_iter().map(|fault| format!("{}: {fault}", self.email)).collect()
    }

    /// Whether somebody has asked, before that moment, for it to go.
    fn may_be_removed(&self, before: Moment) -> bool {
        let removes = |event: &&Event| matches!(&event.what, What::Remove(outcome) if outcome.may_have_happened());
        self.events.iter().filter(removes).any(|event| event.began < before)
    }

    /// When its removal was first acknowledged.
    fn removed(&self) -> Option<Moment> {
        let removals = self.events.iter().filter(|event| matches!(event.what, What::Remove(Outcome::Acknowledged(()))));
        removals.map(|event| event.ended).min()
    }

    /// Every sight of it, with its moments.
    fn views(&self) -> impl Iterator<Item = (&Event, &View)> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Register { outcome: Outcome::Acknowledged(view), .. }
            | What::Rename { outcome: Outcome::Acknowledged(view), .. }
            | What::Look(Some(view)) => Some((event, view)),
            _ => None,
        })
    }
}

/// Where all clients write down what they did and saw.
#[derive(Default)]
pub(crate) struct Book {
    clock: AtomicU64,
    accounts: Mutex<Vec<Account>>,
}

impl Book {
    /// The moment that it is.
    pub(crate) fn now(&self) -> Moment {
        self.clock.fetch_add(1, SeqCst)
    }

    /// A page for an account; its number.
    pub(crate) fn open(&self, email: &str) -> usize {
        let mut accounts = self.accounts.lock().unwrap();
        accounts.push(Account { email: email.to_owned(), events: Vec::new() });
        accounts.len() - 1
    }

    /// Notes what began at that moment and has ended now.
    pub(crate) fn note(&self, account: usize, began: Moment, what: What) {
        let ended = self.now();
        self.accounts.lock().unwrap()[account].events.push(Event { began, ended, what });
    }

    /// All that is known so far.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        self.accounts.lock().unwrap().clone()
    }

    /// What is wrong with any account.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.accounts().iter().flat_map(Account::faults).collect()
    }

    /// How many writes were acknowledged, and of how many nobody knows.
    pub(crate) fn writes(&self) -> (usize, usize) {
        let (mut acknowledged, mut unknown) = (0, 0);
        for event in self.accounts().iter().flat_map(|account| &account.events) {
            let (is_acknowledged, is_unknown) = match &event.what {
                What::Register { outcome, .. } | What::Rename { outcome, .. } => known(outcome),
                What::Repassword { outcome, .. } | What::Remove(outcome) => known(outcome),
                What::Exchange { outcome, .. } => known(outcome),
                What::Grant { .. } => (true, false),
                What::Look(_) | What::Try { .. } | What::Knock { .. } => (false, false),
            };
            acknowledged += usize::from(is_acknowledged);
            unknown += usize::from(is_unknown);
        }
        (acknowledged, unknown)
    }
}

fn known<T>(outcome: &Outcome<T>) -> (bool, bool) {
    (outcome.is_acknowledged(), matches!(outcome, Outcome::Unknown))
}
