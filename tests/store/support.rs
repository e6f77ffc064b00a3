//! A store of each engine, in a database of its own, with its registry.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use glasshouse::{
    domain::{
        auth::{Family, PasswordHash, SecretDigest, Session, SessionId},
        users::{Email, Name, Role, User, UserId, Version},
    },
    faults::Switchboard,
    store::{Config, Guarded, Store},
    telemetry::{Metrics, Tracer},
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::postgres::Postgres;

/// Which engine a promise is tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
    /// Behind the circuit breaker.
    Guarded(Engine),
}

/// What is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// The same as [`on_both`], and again for each engine behind each wrapper: what wraps a store keeps its promises.
#[macro_export]
macro_rules! on_all {
    ($($promise:ident),* $(,)?) => {
        $crate::on_both! { $($promise),* }
        mod guarded_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise($crate::support::On::Guarded($crate::support::Engine::Sqlite)).await;
            })*
        }
        mod guarded_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise($crate::support::On::Guarded($crate::support::Engine::Postgres)).await;
            })*
        }
    };
}

/// One function for each promise: makes a test for each engine of it, named after both.
#[macro_export]
macro_rules! on_both {
    ($($promise:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise($crate::support::On::Sqlite).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise($crate::support::On::Postgres).await;
            })*
        }
    };
}

/// A database of its own, gone with the value.
pub(crate) struct Fresh {
    pub(crate) url: String,
    _folder: TempDir,
}

impl On {
    /// Which one it is, whatever is in front of it.
    pub(crate) const fn engine(self) -> Engine {
        match self {
            Self::Sqlite | Self::Guarded(Engine::Sqlite) => Engine::Sqlite,
            Self::Postgres | Self::Guarded(Engine::Postgres) => Engine::Postgres,
        }
    }

    /// A new, empty database.
    pub(crate) async fn fresh(self) -> Fresh {
        let folder = tempfile::tempdir().unwrap();
        let url = match self.engine() {
            Engine::Sqlite => {
                format!("sqlite://{}/deeper/users.db?mode=rwc", folder.path().display())
            }
            Engine::Postgres => Postgres::get().database().await,
        };
        Fresh { url, _folder: folder }
    }

    /// A store with its schema, in a new database.
    pub(crate) async fn open(self) -> Opened {
        self.open_with(|_| ()).await
    }

    /// The same with other settings.
    pub(crate) async fn open_with(self, change: impl FnOnce(&mut Config)) -> Opened {
        let fresh = self.fresh().await;
        let mut config = config(&fresh.url);
        change(&mut config);
        let metrics = Metrics::new(1000);
        let mut store = Store::open(&config, Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
        store.migrate_up().await.unwrap();
        let guard = matches!(self, Self::Guarded(_)).then(|| Guarded::new(&store, config.ping_timeout, &metrics));
        if let Some(guard) = &guard {
            (store.users, store.sessions) = (Arc::clone(&guard.users), Arc::clone(&guard.sessions));
            store.audit = Arc::clone(&guard.audit);
        }
        Opened { store, metrics, fresh, _guard: guard }
    }
}

/// A store that is open.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) fresh: Fresh,
    _guard: Option<Guarded>,
}

impl std::ops::Deref for Opened {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Opened {
    /// Adds a user of that address.
    pub(crate) async fn with_user(&self, email: &str) -> User {
        let user = user(email);
        self.users.insert(&user, &hash("first"), None, None).await.unwrap();
        user
    }

    /// Adds a session of that user, for an hour from `now`.
    pub(crate) async fn with_session(&self, user: &User) -> Session {
        let session = session(user.id);
        self.sessions.start(&session, &hash("first"), 100).await.unwrap();
        session
    }
}

pub(crate) fn config(url: &str) -> Config {
    Config {
        url: url.parse().unwrap(),
        max_connections: 5,
        acquire_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_mins(10),
        max_lifetime: Duration::from_mins(30),
        statement_timeout: Duration::from_secs(30),
        ping_timeout: Duration::from_secs(1),
        pooler: false,
        migrate: true,
    }
}

/// One time for a whole test run, with microseconds that a store could lose.
pub(crate) fn now() -> DateTime<Utc> {
    static NOW: OnceLock<DateTime<Utc>> = OnceLock::new();
    *NOW.get_or_init(|| DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap())
}

pub(crate) fn user(email: &str) -> User {
    User {
        id: UserId::generate(),
        email: Email::parse(email).unwrap(),
        name: Name::parse("Ann 🦀 Lee").unwrap(),
        role: Role::User,
        version: Version::FIRST,
        created_at: now(),
        updated_at: now(),
    }
}

pub(crate) fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(format!("$argon2id${text}"))
}

pub(crate) fn session(user: UserId) -> Session {
    Session {
        id: SessionId(Uuid::now_v7()),
        user,
        family: Family(Uuid::new_v4()),
        secret: SecretDigest([1; 32]),
        created_at: now(),
        expires_at: now() + TimeDelta::hours(1),
    }
}
