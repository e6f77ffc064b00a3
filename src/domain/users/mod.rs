//! Accounts: register, read, list, change, remove. [`Users`] is the only way in.

mod condition;
mod email;
mod error;
mod idempotency;
mod metrics;
mod name;
mod page;
mod register;
mod store;
mod user;

use std::sync::Arc;

use secrecy::SecretString;

pub use condition::Condition;
pub use email::Email;
pub use error::Error;
pub use idempotency::{IdempotencyKey, Once, Receipt};
pub use metrics::UserMetrics;
pub use name::Name;
pub use page::{Cursor, EmailPrefix, Filter, Limit, Page};
pub use store::{BoxError, StoreError, UserStore};
pub use user::{Role, User, UserId, Version};

use super::{
    Clock,
    audit::{Action, Actor, Entry},
    auth::{Caller, Password, Passwords, Verdict, log_unverifiable_hash},
};

/// What becomes an account.
#[derive(Debug)]
pub struct Registration {
    /// Must not belong to another account.
    pub email: Email,
    /// What it is called.
    pub name: Name,
    /// Hashed before it is kept.
    pub password: Password,
}

/// What of an account is to be another; `None` stays.
#[derive(Debug, Default)]
pub struct Change {
    /// Must not belong to another account.
    pub email: Option<Email>,
    /// What it is called.
    pub name: Option<Name>,
    /// Only an admin gives roles, and none to itself.
    pub role: Option<Role>,
}

/// Everything that can be done with accounts. What an admin does, also to its own account, leaves an entry in the trail.
pub struct Users {
    store: Arc<dyn UserStore>,
    passwords: Passwords,
    clock: Clock,
    metrics: UserMetrics,
}

impl Users {
    /// At most so many keys are forgotten at once, so that no sweep holds a lock for long.
    const SWEEP_LIMIT: u32 = 1000;

    /// Puts the parts together.
    #[must_use]
    pub fn new(store: Arc<dyn UserStore>, passwords: Passwords, clock: Clock, metrics: UserMetrics) -> Self {
        Self { store, passwords, clock, metrics }
    }

    /// The account of that id, for itself and for admins.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody else, whether the account exists or not; [`Error::NotFound`], [`Error::Store`].
    pub async fn read(&self, caller: &Caller, id: UserId) -> Result<User, Error> {
        if caller.user.id == id {
            // Read from the store a moment ago, when the caller was recognised.
            return Ok(caller.user.clone());
        }
        if !caller.may_manage(id) {
            return Err(Error::Forbidden);
        }
        self.store.get(id).await?.ok_or(Error::NotFound)
    }

    /// One page of accounts, in order of registration, or of the address where the filter has a prefix; for admins.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Store`].
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Cursor>,
        limit: Limit,
    ) -> Result<Page, Error> {
        if !caller.is_admin() {
            return Err(Error::Forbidden);
        }
        // One more than asked for tells whether there is a next page, without counting.
        let mut users = self.store.list(filter, after, limit.get() + 1).await?;
        let wanted = limit.get() as usize;
        let more = users.len() > wanted;
        users.truncate(wanted);
        let next = users.last().filter(|_| more).map(|last| Cursor::of(last, filter));
        Ok(Page { users, next })
    }

    /// Changes an account whose stored version the condition accepts. What changes nothing is no new version.
    ///
    /// When another write comes first, the account is read again and the condition decides again, so a condition that
    /// accepts every version never fails because of a concurrent write. Each further attempt means that another write
    /// succeeded, and the request's deadline bounds them all.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::OwnRole`], [`Error::SignInTooOld`] if address or role were to change,
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::EmailTaken`],
    /// [`Error::LastAdmin`], [`Error::Store`].
    pub async fn change(
        &self,
        caller: &Caller,
        id: UserId,
        condition: &Condition,
        change: &Change,
    ) -> Result<User, Error> {
        let mut stored = self.read(caller, id).await?;
        while condition.accepts(stored.version) {
            match self.change_version(caller, &stored, change).await {
                Err(Error::Stale) => stored = self.store.get(id).await?.ok_or(Error::NotFound)?,
                result => return result,
            }
        }
        Err(Error::Stale)
    }

    /// One attempt of [`Users::change`]. Fails with [`Error::Stale`] if the account is no longer that version.
    async fn change_version(&self, caller: &Caller, current: &User, change: &Change) -> Result<User, Error> {
        let role = change.role.unwrap_or(current.role);
        if role != current.role {
            if !caller.is_admin() {
                return Err(Error::Forbidden);
            }
            if caller.user.id == current.id {
                return Err(Error::OwnRole);
            }
        }
        let changed = User {
            email: change.email.clone().unwrap_or_else(|| current.email.clone()),
            name: change.name.clone().unwrap_or_else(|| current.name.clone()),
            role,
            ..current.clone()
        };
        if changed == *current {
            return Ok(changed);
        }
        if (changed.email != current.email || role != current.role) && !caller.is_recently_signed_in {
            return Err(Error::SignInTooOld);
        }
        let changed =
            User { version: current.version.next(), updated_at: self.clock.now().max(current.updated_at), ..changed };
        let entry = self.entry(caller, Action::Change, current.id).map(|entry| entry.changing(current, &changed));
        self.store.update(current, &changed, entry.as_ref()).await?;
        tell(entry);
        Ok(changed)
    }

    /// Replaces a password, and ends every session of that user but the caller's own.
    ///
    /// The old password is asked of an admin too: its own account is the only one whose password it can know.
    ///
    /// When another change of the password comes first, the old password is checked against the new hash.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::PasswordWrong`], [`Error::Hashing`], [`Error::Store`].
    pub async fn change_password(
        &self,
        caller: &Caller,
        id: UserId,
        old: &SecretString,
        new: &Password,
    ) -> Result<(), Error> {
        if !caller.may_manage(id) {
            return Err(Error::Forbidden);
        }
        let keep = (caller.user.id == id).then_some(caller.session);
        let entry = self.entry(caller, Action::ChangePassword, id);
        loop {
            let stored = self.store.password(id).await?.ok_or(Error::NotFound)?;
            let verdict = self.passwords.verify(old, Some(&stored)).await?;
            if verdict == Verdict::Unverifiable {
                log_unverifiable_hash(id);
            }
            if !verdict.is_right() {
                return Err(Error::PasswordWrong);
            }
            let hash = self.passwords.hash(new).await?;
            match self.store.set_password(id, &stored, &hash, keep, entry.as_ref()).await {
                Err(StoreError::Stale) => {}
                written => break written?,
            }
        }
        tell(entry);
        Ok(())
    }

    /// Removes an account whose stored version the condition accepts, and ends its sessions. Concurrent writes are
    /// handled as in [`Users::change`].
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::SignInTooOld`], [`Error::NotFound`], [`Error::Stale`], [`Error::LastAdmin`],
    /// [`Error::Store`].
    pub async fn remove(&self, caller: &Caller, id: UserId, condition: &Condition) -> Result<(), Error> {
        let mut stored = self.read(caller, id).await?;
        let entry = self.entry(caller, Action::Remove, id);
        while condition.accepts(stored.version) {
            if !caller.is_recently_signed_in {
                return Err(Error::SignInTooOld);
            }
            let expected = (*condition != Condition::default()).then_some(stored.version);
            match self.store.remove(&stored, expected, entry.as_ref()).await {
                Err(StoreError::Stale) => stored = self.store.get(id).await?.ok_or(Error::NotFound)?,
                removed => {
                    removed?;
                    tell(entry);
                    return Ok(());
                }
            }
        }
        Err(Error::Stale)
    }

    /// The trail's entry for an act of an admin; none for what another user does to its own account.
    fn entry(&self, caller: &Caller, action: Action, subject: UserId) -> Option<Entry> {
        let actor = Actor::Admin(caller.user.id);
        caller.is_admin().then(|| Entry::new(self.clock.now(), actor, action, subject))
    }
}

fn tell(entry: Option<Entry>) {
    if let Some(entry) = entry {
        entry.tell();
    }
}
