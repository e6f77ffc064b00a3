//! A store behind a circuit breaker: while the database is away, calls fail at once instead of waiting for it.
//!
//! Nothing is repeated here: whether a call may be made twice is known to `database`, statement by statement.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};

use super::{Failure, Store, check::Unfit};
use crate::{
    domain::{
        audit::{self, AuditStore, Entry},
        auth::{Exchange, NetworkDigest, PasswordHash, Rotation, Session, SessionId, SessionStore},
        users::{Cursor, Email, Filter, Once, Receipt, StoreError, User, UserId, UserStore, Version},
    },
    resilience::{
        breaker::Outcome,
        circuit::{Circuit, Watch},
        deadline::{Deadline, WRITE_GRACE},
    },
    telemetry::Metrics,
};

/// The circuit's name in metrics and log.
const NAME: &str = "store";

/// A store that is left alone while it does not answer. Cheap to clone; clones share the circuit.
///
/// A refused call is [`StoreError::Unavailable`], and did not happen. One that is a probe, to see whether the store is
/// back, has at most the readiness check's time; given up, it is [`StoreError::Unavailable`] like any other.
#[derive(Clone)]
pub struct Guarded {
    /// Keeps users.
    pub users: Arc<dyn UserStore>,
    /// Keeps sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Keeps what admins did.
    pub audit: Arc<dyn AuditStore>,
    /// Whether calls pass.
    pub circuit: Circuit,
    store: Store,
    _watch: Arc<Watch>,
}

impl Guarded {
    /// Puts the circuit in front of a store that takes no longer than `patience` for a ping while it is well.
    ///
    /// # Panics
    /// Outside a runtime, and if `metrics` has a circuit already.
    #[must_use]
    pub fn new(store: &Store, patience: Duration, metrics: &Metrics) -> Self {
        let circuit = Circuit::new(NAME, patience, metrics);
        let asked = store.clone();
        let watch = circuit.watch(move || {
            let answer = asked.answer();
            async move { answer.await.as_ref().err().map_or(Outcome::Answered, outcome) }
        });
        Self {
            users: Arc::new(Behind { circuit: circuit.clone(), store: Arc::clone(&store.users) }),
            sessions: Arc::new(Behind { circuit: circuit.clone(), store: Arc::clone(&store.sessions) }),
            audit: Arc::new(Behind { circuit: circuit.clone(), store: Arc::clone(&store.audit) }),
            circuit,
            store: store.clone(),
            _watch: Arc::new(watch),
        }
    }

    /// As [`Store::check`], whether or not the circuit is open; the circuit learns whether the database answered.
    #[must_use]
    pub fn check(&self) -> BoxFuture<'static, Result<(), String>> {
        let (ping, checked) = (self.circuit.ping(), self.store.checked());
        Box::pin(async move {
            let checked = checked.await;
            ping.end(checked.as_ref().err().and_then(Unfit::failure).map_or(Outcome::Answered, outcome));
            checked.map_err(|unfit| unfit.to_string())
        })
    }
}

/// A database that refuses is there. Waiting for a connection in vain, or until the request has no time left, is no
/// proof that it is away: perhaps too many want one.
fn outcome(failure: &Failure) -> Outcome {
    if failure.is_pool_closed() || failure.is_given_up() {
        Outcome::Abandoned
    } else if failure.is_pool_timeout() || failure.is_late() {
        Outcome::Silent
    } else if failure.is_away() {
        Outcome::Failed
    } else {
        Outcome::Answered
    }
}

/// A probe that was given up.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Silence(Duration);

/// One of the store's traits behind the circuit.
struct Behind<S: ?Sized> {
    circuit: Circuit,
    store: Arc<S>,
}

impl<S: ?Sized> Behind<S> {
    /// Makes the call if the circuit lets it pass, and tells the circuit how it went.
    async fn pass<T>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        let began = Instant::now();
        let permit = self.circuit.ask().map_err(|refused| StoreError::Unavailable(Box::new(refused)))?;
        let called = match permit.limit() {
            None => call.await,
            Some(limit) => {
                let mut call = pin!(call);
                let Ok(called) = timeout(limit, &mut call).await else {
                    permit.end(Outcome::Silent);
                    let silence = || Err(StoreError::Unavailable(Box::new(Silence(limit))));
                    // The write may be done already: the client gets its result, although the probe has failed.
                    return if Deadline::is_write_sent() {
                        timeout(WRITE_GRACE, call).await.unwrap_or_else(|_| silence())
                    } else {
                        silence()
                    };
                };
                called
            }
        };
        permit.end(match &called {
            Err(StoreError::Unavailable(cause) | StoreError::Late(cause)) => {
                match cause.downcast_ref::<Failure>() {
                    // The request had hardly any time left: silence for less than an answer may take is none.
                    Some(late) if late.is_late() && began.elapsed() < self.circuit.patience() => Outcome::Abandoned,
                    failure => failure.map_or(Outcome::Failed, outcome),
                }
            }
            Ok(_)
            | Err(
                StoreError::Taken
                | StoreError::Stale
                | StoreError::LastAdmin
                | StoreError::Unrepresentable(_)
                | StoreError::Broken(_),
            ) => Outcome::Answered,
        });
        called
    }
}

#[async_trait]
impl UserStore for Behind<dyn UserStore> {
    async fn insert(
        &self,
        user: &User,
        password: &PasswordHash,
        once: Option<&Once>,
        entry: Option<&Entry>,
    ) -> Result<(), StoreError> {
        self.pass(self.store.insert(user, password, once, entry)).await
    }

    async fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, StoreError> {
        self.pass(self.store.receipt(key)).await
    }

    async fn sweep_receipts(&self, until: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.pass(self.store.sweep_receipts(until, limit)).await
    }

    async fn get(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.pass(self.store.get(id)).await
    }

    async fn credentials(&self, email: &Email) -> Result<Option<(User, PasswordHash)>, StoreError> {
        self.pass(self.store.credentials(email)).await
    }

    async fn password(&self, id: UserId) -> Result<Option<PasswordHash>, StoreError> {
        self.pass(self.store.password(id)).await
    }

    async fn list(&self, filter: &Filter, after: Option<Cursor>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.pass(self.store.list(filter, after, limit)).await
    }

    async fn update(&self, before: &User, after: &User, entry: Option<&Entry>) -> Result<(), StoreError> {
        self.pass(self.store.update(before, after, entry)).await
    }

    async fn set_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
        keep: Option<SessionId>,
        entry: Option<&Entry>,
    ) -> Result<(), StoreError> {
        self.pass(self.store.set_password(id, old, new, keep, entry)).await
    }

    async fn replace_hash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<(), StoreError> {
        self.pass(self.store.replace_hash(id, old, new)).await
    }

    async fn remove(&self, user: &User, expected: Option<Version>, entry: Option<&Entry>) -> Result<(), StoreError> {
        self.pass(self.store.remove(user, expected, entry)).await
    }
}

#[async_trait]
impl SessionStore for Behind<dyn SessionStore> {
    async fn start(&self, session: &Session, shown: &PasswordHash, limit: u32) -> Result<(), StoreError> {
        self.pass(self.store.start(session, shown, limit)).await
    }

    async fn recognise(&self, id: SessionId, now: DateTime<Utc>) -> Result<Option<(User, DateTime<Utc>)>, StoreError> {
        self.pass(self.store.recognise(id, now)).await
    }

    async fn rotate(&self, exchange: &Exchange, now: DateTime<Utc>) -> Result<Rotation, StoreError> {
        self.pass(self.store.rotate(exchange, now)).await
    }

    async fn end(&self, id: SessionId) -> Result<(), StoreError> {
        self.pass(self.store.end(id)).await
    }

    async fn is_known_network(&self, network: &NetworkDigest) -> Result<bool, StoreError> {
        self.pass(self.store.is_known_network(network)).await
    }

    async fn remember_network(
        &self,
        user: UserId,
        network: &NetworkDigest,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<(), StoreError> {
        self.pass(self.store.remember_network(user, network, now, limit)).await
    }

    async fn newest_expiry(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.pass(self.store.newest_expiry()).await
    }

    async fn sweep(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.pass(self.store.sweep(now, limit)).await
    }
}

#[async_trait]
impl AuditStore for Behind<dyn AuditStore> {
    async fn list(
        &self,
        subject: Option<UserId>,
        after: Option<audit::Cursor>,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.pass(self.store.list(subject, after, limit)).await
    }

    async fn sweep(&self, until: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.pass(self.store.sweep(until, limit)).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, task::yield_now, time::sleep};

    use super::*;
    use crate::resilience::{
        breaker::{OPEN, Phase},
        deadline::within_write,
    };

    const PROBE_TIMEOUT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_mins(1);

    /// A store behind an open circuit that lets a probe pass.
    async fn probing() -> Behind<()> {
        let circuit = Circuit::new(NAME, PROBE_TIMEOUT, &Metrics::new(10));
        while let Ok(permit) = circuit.ask() {
            permit.end(Outcome::Failed);
        }
        sleep(OPEN.longest).await;
        Behind { circuit, store: Arc::new(()) }
    }

    /// Calls the store within a request's deadline. The call ends after its probe has failed.
    async fn call(is_write: bool) -> Result<u32, StoreError> {
        let behind = Box::pin(probing()).await;
        let (release, released) = oneshot::channel();
        let call = Box::pin(behind.pass(async {
            let work = async { released.await.map_or(0, |()| 7) };
            if is_write { within_write(LONG, work).await.map_err(|_| StoreError::Stale) } else { Ok(work.await) }
        }));
        let after_probe = async {
            for wanted in [Phase::HalfOpen, Phase::Open] {
                while behind.circuit.phase() != wanted {
                    yield_now().await;
                }
            }
            release.send(()).ok();
        };
        let both = async { tokio::join!(call, after_probe).0 };
        Box::pin(Deadline::after(LONG, None).scope(both)).await.unwrap()
    }

    #[tokio::test]
    async fn probe_that_sent_a_write_returns_the_result_of_the_write() {
        assert!(matches!(Box::pin(call(true)).await, Ok(7)));
    }

    #[tokio::test]
    async fn probe_that_only_reads_ends_at_the_probe_timeout() {
        let failed = Box::pin(call(false)).await.unwrap_err();
        assert!(matches!(&failed, StoreError::Unavailable(cause) if cause.is::<Silence>()), "{failed:?}");
    }
}
