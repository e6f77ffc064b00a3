//! One account in the hands of whoever registered it: what can be done with it, and what its owner knows after it.

use reqwest::Method;
use serde_json::json;

use super::door::{Door, Reply, Request};
use crate::model::{Book, Outcome, View, What};

/// An account, as far as its owner knows it.
pub(crate) struct Owned {
    /// Its page in the book.
    page: usize,
    email: String,
    name: String,
    /// Whether it was acknowledged, or is known to be there otherwise.
    pub(crate) is_registered: bool,
    /// Whether it was removed, or may have been.
    pub(crate) is_given_up: bool,
    /// The password, as far as that is known: one that worked, or was acknowledged, comes first.
    passwords: Vec<String>,
    /// The last password that another has replaced.
    replaced: Option<String>,
    /// As it was last seen, if nothing unknown has happened since.
    seen: Option<View>,
    sessions: Vec<Session>,
    /// Of a session, a token that was exchanged.
    spent: Option<(usize, String)>,
    count: usize,
}

/// A session that was granted. Its number is its place.
struct Session {
    access: String,
    /// Nothing if nobody knows which token is the newest.
    refresh: Option<String>,
    is_over: bool,
}

/// Whom an owner needs for everything: the service, and the book.
pub(crate) struct World<'a> {
    pub(crate) door: &'a Door,
    pub(crate) book: &'a Book,
}

impl Owned {
    /// An account that nobody has asked for yet.
    pub(crate) fn new(email: String, book: &Book) -> Self {
        let page = book.open(&email);
        let (name, passwords) = (format!("{page} is new"), vec![format!("password 0 of {page}")]);
        Self {
            page,
            email,
            name,
            is_registered: false,
            is_given_up: false,
            passwords,
            replaced: None,
            seen: None,
            sessions: Vec::new(),
            spent: None,
            count: 0,
        }
    }

    fn another(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what} {} of {}", self.count, self.page)
    }

    /// A session that may be open: its number.
    pub(crate) fn session(&self) -> Option<usize> {
        self.sessions.iter().rposition(|session| !session.is_over)
    }

    /// Its page, and an access token for it.
    pub(crate) fn open(&self) -> Option<(usize, String)> {
        Some((self.page, self.sessions[self.session()?].access.clone()))
    }

    /// Asks in the name of a session, and notes whether it was let in.
    async fn ask(&mut self, world: &World<'_>, session: usize, request: Request<'_>) -> Reply {
        let access = self.sessions[session].access.clone();
        let began = world.book.now();
        let reply = world.door.ask(request.by(&access)).await;
        let worked = match reply.status() {
            Some(401) => false,
            Some(status @ 200..500) if status != 429 => true,
            _ => return reply,
        };
        self.sessions[session].is_over |= !worked;
        world.book.note(self.page, began, What::Knock { session, worked });
        reply
    }

    /// The same registration again and again, until something is known of it.
    pub(crate) async fn register(&mut self, world: &World<'_>) -> Reply {
        let (name, password) = (self.name.clone(), self.passwords[0].clone());
        let began = world.book.now();
        let request = Request::new(Method::POST, "/api/v1/users");
        let body = json!({ "email": self.email, "name": name, "password": password });
        let reply = world.door.ask(request.with(body)).await;
        let Some(outcome) = reply.outcome(&[409], Reply::view) else { return reply };
        self.is_registered = outcome != Outcome::Unknown;
        if let Outcome::Acknowledged(view) = &outcome {
            self.seen = Some(view.clone());
        }
        world.book.note(self.page, began, What::Register { name, password, outcome });
        reply
    }

    pub(crate) async fn sign_in(&mut self, world: &World<'_>) -> Reply {
        let password = self.passwords[0].clone();
        let reply = self.show(world, &password).await;
        if reply.status() == Some(401) {
            self.passwords.rotate_left(1);
        }
        reply
    }

    /// Signs in with that password.
    async fn show(&mut self, world: &World<'_>, password: &str) -> Reply {
        let began = world.book.now();
        let request = Request::new(Method::POST, "/api/v1/auth/sign-in");
        let reply = world.door.ask(request.with(json!({ "email": self.email, "password": password }))).await;
        match reply.outcome(&[401], Reply::tokens) {
            Some(Outcome::Acknowledged((access, token))) => {
                let session = self.sessions.len();
                self.sessions.push(Session { access, refresh: Some(token), is_over: false });
                world.book.note(self.page, began, What::Try { password: password.to_owned(), worked: true });
                world.book.note(self.page, began, What::Grant { session });
            }
            Some(Outcome::Denied) => {
                world.book.note(self.page, began, What::Try { password: password.to_owned(), worked: false });
            }
            Some(Outcome::Unknown) | None => {}
        }
        reply
    }

    pub(crate) async fn look(&mut self, world: &World<'_>, session: usize) -> Reply {
        let began = world.book.now();
        let reply = self.ask(world, session, Request::new(Method::GET, "/api/v1/users/me")).await;
        if reply.status() == Some(200) {
            self.seen = Some(reply.view());
            world.book.note(self.page, began, What::Look(self.seen.clone()));
        }
        reply
    }

    pub(crate) async fn rename(&mut self, world: &World<'_>, session: usize) -> Reply {
        let Some(seen) = self.seen.clone() else { return self.look(world, session).await };
        let name = self.another("name");
        let began = world.book.now();
        let mut request = Request::new(Method::PATCH, &format!("/api/v1/users/{}", seen.id));
        request.if_match = Some(tag(&seen));
        let reply = self.ask(world, session, request.with(json!({ "name": name }))).await;
        let Some(outcome) = reply.outcome(&[401, 404, 412], Reply::view) else { return reply };
        self.seen = match &outcome {
            Outcome::Acknowledged(view) => Some(view.clone()),
            Outcome::Denied | Outcome::Unknown => None,
        };
        world.book.note(self.page, began, What::Rename { from: seen.version, name, outcome });
        reply
    }

    pub(crate) async fn repassword(&mut self, world: &World<'_>, session: usize) -> Reply {
        let Some(id) = self.seen.as_ref().map(|seen| seen.id.clone()) else { return self.look(world, session).await };
        let (old, new) = (self.passwords[0].clone(), self.another("password"));
        let began = world.book.now();
        let request = Request::new(Method::PUT, &format!("/api/v1/users/{id}/password"));
        let body = json!({ "old_password": old, "new_password": new });
        let reply = self.ask(world, session, request.with(body)).await;
        let Some(outcome) = reply.outcome(&[401, 403, 404, 412], |_| ()) else { return reply };
        match outcome {
            Outcome::Acknowledged(()) => {
                self.replaced = Some(old.clone());
                self.passwords = vec![new.clone()];
            }
            Outcome::Denied => self.passwords.rotate_left(1),
            Outcome::Unknown => self.passwords.push(new.clone()),
        }
        world.book.note(self.page, began, What::Repassword { old, new, session, outcome });
        reply
    }

    pub(crate) async fn exchange(&mut self, world: &World<'_>, session: usize) -> Reply {
        match self.sessions[session].refresh.take() {
            Some(shown) => self.exchange_token(world, session, shown).await,
            None => self.sign_in(world).await,
        }
    }

    async fn exchange_token(&mut self, world: &World<'_>, session: usize, shown: String) -> Reply {
        let began = world.book.now();
        let request = Request::new(Method::POST, "/api/v1/auth/refresh");
        let reply = world.door.ask(request.with(json!({ "refresh_token": shown }))).await;
        let Some(outcome) = reply.outcome(&[401], Reply::tokens) else {
            self.sessions[session].refresh = Some(shown);
            return reply;
        };
        let outcome = match outcome {
            Outcome::Acknowledged((access, token)) => {
                self.spent = Some((session, shown.clone()));
                self.sessions[session] = Session { access, refresh: Some(token.clone()), is_over: false };
                Outcome::Acknowledged(token)
            }
            Outcome::Denied => {
                self.sessions[session].is_over = true;
                Outcome::Denied
            }
            Outcome::Unknown => Outcome::Unknown,
        };
        world.book.note(self.page, began, What::Exchange { session, shown, outcome });
        reply
    }

    pub(crate) async fn remove(&mut self, world: &World<'_>, session: usize) -> Reply {
        let Some(seen) = self.seen.clone() else { return self.look(world, session).await };
        let began = world.book.now();
        let mut request = Request::new(Method::DELETE, &format!("/api/v1/users/{}", seen.id));
        request.if_match = Some(tag(&seen));
        let reply = self.ask(world, session, request).await;
        let Some(outcome) = reply.outcome(&[401, 404, 412], |_| ()) else { return reply };
        self.is_given_up = outcome.may_have_happened();
        world.book.note(self.page, began, What::Remove(outcome));
        reply
    }

    /// Tries everything that must work now, and what must not: sessions, passwords, a token that was exchanged.
    pub(crate) async fn try_all(&mut self, world: &World<'_>) {
        if !self.is_registered {
            return;
        }
        for session in 0..self.sessions.len() {
            until_answered(async || self.look(world, session).await).await;
        }
        for password in self.passwords.clone() {
            until_answered(async || self.show(world, &password).await).await;
        }
        if let Some(password) = self.replaced.clone() {
            until_answered(async || self.show(world, &password).await).await;
        }
        if let Some((session, token)) = self.spent.clone() {
            until_answered(async || self.exchange_token(world, session, token.clone()).await).await;
        }
    }
}

/// A service that is well may still have too much to do for a moment.
async fn until_answered(mut ask: impl AsyncFnMut() -> Reply) {
    for _ in 0..100 {
        let reply = ask().await;
        if !reply.is_trouble() {
            return;
        }
        crate::moments::breath().await;
    }
    panic!("nothing is broken any more, and there is no answer: {:?}", ask().await);
}

/// The tag of that version.
pub(super) fn tag(seen: &View) -> String {
    format!("\"{}-{}\"", seen.id.replace('-', ""), seen.version)
}
