//! A client: has a few accounts, does with them what chance says, and shares one with all others.

use std::sync::Arc;

use super::{
    door::{Door, Reply},
    owner::{Owned, World},
    shared::Shared,
};
use crate::{model::Book, moments, random::Random};

/// How many accounts a client has at once.
const ACCOUNTS: usize = 4;

/// One client.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) door: Door,
    pub(crate) book: Arc<Book>,
    pub(crate) chance: Random,
    pub(crate) owned: Vec<Owned>,
    pub(crate) shared: Option<Shared>,
}

impl Person {
    /// Does one thing; waits a little after trouble, as clients should, and a moment after anything.
    pub(crate) async fn act(&mut self) {
        let reply = self.choose().await;
        if reply.is_trouble() {
            moments::breath().await;
        }
        moments::thought().await;
    }

    async fn choose(&mut self) -> Reply {
        let Self { name, door, book, chance, owned, shared } = self;
        let world = World { door, book };
        if let Some(shared) = shared.as_mut().filter(|_| chance.below(5) == 0) {
            return shared.rename(&world).await;
        }
        let mut open: Vec<_> = (0..owned.len()).filter(|at| !owned[*at].is_given_up).collect();
        if open.len() < ACCOUNTS {
            let email = format!("{name}-{}@example.com", owned.len());
            open.push(owned.len());
            owned.push(Owned::new(email, book));
        }
        let account = &mut owned[*chance.pick(&open).expect("there is one at least")];
        if !account.is_registered {
            return account.register(&world).await;
        }
        let Some(session) = account.session() else { return account.sign_in(&world).await };
        match chance.below(20) {
            0..8 => account.rename(&world, session).await,
            8..12 => account.look(&world, session).await,
            12..16 => account.exchange(&world, session).await,
            16 => account.sign_in(&world).await,
            17..19 => account.repassword(&world, session).await,
            _ => account.remove(&world, session).await,
        }
    }

    /// Tries everything that this client has been told.
    pub(crate) async fn try_all(&mut self) {
        let world = World { door: &self.door, book: &self.book };
        for owned in &mut self.owned {
            owned.try_all(&world).await;
        }
    }
}
