//! Registering: once, also where it is asked for again.

use super::{Error, IdempotencyKey, Once, Receipt, Registration, Role, StoreError, User, UserId, Users, Version};
use crate::domain::{
    audit::{Action, Actor, Entry},
    auth::{Password, PasswordHash},
};

impl Users {
    /// Makes an account with the role `user`.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::Hashing`], [`Error::Store`].
    pub async fn register(&self, registration: Registration) -> Result<User, Error> {
        let (user, hash) = self.prepare(&registration, Role::User).await?;
        self.store.insert(&user, &hash, None, None).await?;
        self.metrics.registered();
        Ok(user)
    }

    /// The same, once for each key: whoever asks again with that key and the same registration gets the account as it
    /// was when it was made, whatever has become of it since, for [`Receipt::KEPT`] at least. Of many who ask at once
    /// one makes it and all get it. A registration that fails leaves nothing behind, and may be tried again.
    ///
    /// # Errors
    /// As [`Users::register`], and [`Error::KeyReused`].
    pub async fn register_once(&self, key: &IdempotencyKey, registration: Registration) -> Result<User, Error> {
        let once = key.once(&registration.email, &registration.name);
        if let Some(receipt) = self.store.receipt(&once.key).await? {
            return self.repeat(&once, receipt, registration).await;
        }
        let (user, hash) = self.prepare(&registration, Role::User).await?;
        match self.store.insert(&user, &hash, Some(&once), None).await {
            Ok(()) => {
                self.metrics.registered();
                Ok(user)
            }
            // Somebody was faster: with the address, or with this very request.
            Err(StoreError::Taken) => match self.store.receipt(&once.key).await? {
                Some(receipt) => self.repeat(&once, receipt, registration).await,
                None => Err(Error::EmailTaken),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an account, of an admin if that is asked for: for the command line, where there is no caller. It leaves an
    /// entry in the trail.
    ///
    /// # Errors
    /// As [`Users::register`].
    pub async fn register_by_hand(&self, registration: Registration, role: Role) -> Result<User, Error> {
        let (user, hash) = self.prepare(&registration, role).await?;
        let entry = Entry::new(user.created_at, Actor::CommandLine, Action::Register, user.id);
        let entry = Entry { role: Some(role), ..entry };
        self.store.insert(&user, &hash, None, Some(&entry)).await?;
        self.metrics.registered();
        entry.tell();
        Ok(user)
    }

    async fn prepare(&self, registration: &Registration, role: Role) -> Result<(User, PasswordHash), Error> {
        let Registration { email, name, password } = registration;
        let hash = self.passwords.hash(password).await?;
        let now = self.clock.now();
        let user = User {
            id: UserId::generate(),
            email: email.clone(),
            name: name.clone(),
            role,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        Ok((user, hash))
    }

    /// The first answer, if this is the first request again. Address and name of the answer are those of the request.
    async fn repeat(&self, once: &Once, receipt: Receipt, registration: Registration) -> Result<User, Error> {
        let Registration { email, name, password } = registration;
        if once.request != receipt.request || !self.is_first(&password, &receipt).await? {
            return Err(Error::KeyReused);
        }
        Ok(User {
            id: receipt.user,
            email,
            name,
            role: Role::User,
            version: Version::FIRST,
            created_at: receipt.registered_at,
            updated_at: receipt.registered_at,
        })
    }

    async fn is_first(&self, password: &Password, receipt: &Receipt) -> Result<bool, Error> {
        Ok(self.passwords.verify(password.shown(), Some(&receipt.password)).await?.is_right())
    }

    /// Forgets keys that were kept long enough, and says how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sweep_keys(&self) -> Result<u64, Error> {
        let until = self.clock.now() - Receipt::KEPT;
        let mut swept = 0;
        loop {
            let removed = self.store.sweep_receipts(until, Self::SWEEP_LIMIT).await?;
            swept += removed;
            if removed < u64::from(Self::SWEEP_LIMIT) {
                return Ok(swept);
            }
        }
    }
}
