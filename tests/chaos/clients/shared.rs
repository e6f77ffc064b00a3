//! An account that all clients change at the same time, each in the version that it has seen: none may write over another.

use reqwest::Method;
use serde_json::json;

use super::{
    door::{Reply, Request},
    owner::World,
};
use crate::model::{Outcome, View, What};

/// The account, in the hands of one of those who share it.
pub(crate) struct Shared {
    pub(crate) page: usize,
    pub(crate) access: String,
    /// Which of them this is.
    pub(crate) who: String,
    pub(crate) seen: Option<View>,
    pub(crate) count: usize,
}

impl Shared {
    /// Looks, if it must, or gives the account another name.
    pub(crate) async fn rename(&mut self, world: &World<'_>) -> Reply {
        let began = world.book.now();
        let Some(seen) = self.seen.take() else {
            let reply = world.door.ask(Request::new(Method::GET, "/api/v1/users/me").by(&self.access)).await;
            // Nobody ends this session, so it may only be well or in trouble.
            if let Some(Outcome::Acknowledged(view)) = reply.outcome(&[], Reply::view) {
                world.book.note(self.page, began, What::Look(Some(view.clone())));
                self.seen = Some(view);
            }
            return reply;
        };
        self.count += 1;
        let name = format!("{} by {}", self.count, self.who);
        let mut request = Request::new(Method::PATCH, &format!("/api/v1/users/{}", seen.id)).by(&self.access);
        request.if_match = Some(super::owner::tag(&seen));
        let reply = world.door.ask(request.with(json!({ "name": name }))).await;
        let Some(outcome) = reply.outcome(&[412], Reply::view) else { return reply };
        if let Outcome::Acknowledged(view) = &outcome {
            self.seen = Some(view.clone());
        }
        world.book.note(self.page, began, What::Rename { from: seen.version, name, outcome });
        reply
    }
}
