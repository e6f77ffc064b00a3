//! The one door to a pool: whoever goes through is seen, and there is no other way.
//!
//! The pool is private to this folder, and SQL is only what [`Statements`] lists. Each call gives one client span,
//! one duration and one outcome; BEGIN, COMMIT and ROLLBACK are calls too, also when a transaction is dropped.

mod call;
mod connection;
mod engine;
mod pool;
mod statement;
mod transaction;

use std::{sync::Arc, time::Duration};

use sqlx::{Executor, FromRow, query::Query, query::QueryAs};

pub(in crate::store) use self::call::CANCELLED;
use self::{
    call::{Effect, Observer},
    connection::Connection,
    pool::{FRESH, FRESH_FOR_WRITE, Pool},
};
pub use self::{
    engine::Engine,
    statement::{Sql, Statement, Statements},
    transaction::Transaction,
};
use super::{Config, failure::Failure, metrics::StoreMetrics};
use crate::{
    faults::Switchboard,
    resilience::{
        backoff::Backoff,
        retry::{Retries, Tries},
    },
    telemetry::{KeyValue, Tracer, semconv},
};

/// How much longer than the server's own limit a call is waited for. The server's answer is better: the connection stays
/// whole, and the server's work has ended.
const GRACE: Duration = Duration::from_secs(1);

/// A statement whose values are being bound, for rows of `T`.
pub type Rows<'q, DB, T> = QueryAs<'q, DB, T, <DB as sqlx::Database>::Arguments>;
/// A statement whose values are being bound, for the number of rows that it writes.
pub type Writes<'q, DB> = Query<'q, DB, <DB as sqlx::Database>::Arguments>;

/// A database and its pool. Cheap to clone; clones share the pool.
pub struct Database<DB: Engine> {
    pool: Pool<DB>,
    observer: Arc<Observer>,
    retries: Arc<Retries>,
}

/// A connection that is dead is most often one of many that an end of the server has killed; new ones are there at once.
const BEFORE_AGAIN: Backoff = Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(50) };

impl<DB: Engine> Clone for Database<DB> {
    fn clone(&self) -> Self {
        let (observer, retries) = (Arc::clone(&self.observer), Arc::clone(&self.retries));
        Self { pool: self.pool.clone(), observer, retries }
    }
}

/// What spans say of where a database is.
#[derive(Debug)]
pub struct Location {
    /// `db.namespace`.
    pub namespace: String,
    /// `server.address` and `server.port`, where there is a server.
    pub server: Option<(String, u16)>,
}

impl<DB: Engine> Database<DB> {
    /// A pool without connections yet: the first call opens the first one.
    pub fn new(
        config: &Config,
        connector: DB::Connector,
        location: Location,
        (tracer, faults): (Tracer, Switchboard),
        metrics: StoreMetrics,
    ) -> Self {
        let mut attributes = vec![
            KeyValue::new(semconv::DB_SYSTEM_NAME, DB::SYSTEM),
            KeyValue::new(semconv::DB_NAMESPACE, location.namespace),
        ];
        if let Some((address, port)) = location.server {
            attributes.push(KeyValue::new(semconv::SERVER_ADDRESS, address));
            attributes.push(KeyValue::new(semconv::SERVER_PORT, i64::from(port)));
        }
        let retries = Arc::new(Retries::new(BEFORE_AGAIN, metrics.retries.clone()));
        let pool = Pool::new(config, connector, metrics.clone());
        let observer = Observer {
            system: DB::SYSTEM,
            tracer,
            faults,
            metrics,
            patience: config.acquire_timeout,
            ceiling: config.statement_timeout + GRACE,
            pooled_begin: config.pooler.then(|| DB::pooled_begin(config.statement_timeout)),
            place: attributes,
        };
        Self { pool, observer: Arc::new(observer), retries }
    }

    /// How many connections are idle and how many are used, at this moment.
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        self.pool.connections()
    }

    /// Waits for connections in use to be given back, and closes all.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A connection, for a statement that was not sent yet: so whatever it is, it may be tried again if a connection
    /// turns out to be dead while it is opened. A server that refuses is the pool's to wait for.
    async fn acquire(&self, tries: &mut Tries<'_>, fresh: Duration) -> Result<Connection<DB>, Failure> {
        loop {
            match Connection::acquire(&self.pool, &self.observer, fresh).await {
                Err(failure) if failure.is_dead_connection() && tries.again().await => {}
                acquired => return acquired,
            }
        }
    }

    /// After a call met a connection that is dead, mute or outdated, no idle one is trusted: what befell one has mostly
    /// befallen all. Says whether the call is worth another try: after silence, too much time has passed.
    fn retires(&self, failure: &Failure) -> bool {
        let is_worth = failure.is_dead_connection() || failure.is_outdated();
        if is_worth || failure.is_silence() {
            self.pool.close_idle();
        }
        is_worth
    }
}

impl<DB> Database<DB>
where
    DB: Engine,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// Every row. If the connection turns out to be dead or outdated, a `SELECT` is tried again on another one, as far as the
    /// budget of retries goes.
    ///
    /// # Errors
    /// What the database or the pool says.
    pub async fn fetch_all<'q, T>(
        &self,
        statement: &'static Statement,
        bind: impl Fn(Rows<'q, DB, T>) -> Rows<'q, DB, T>,
    ) -> Result<Vec<T>, Failure>
    where
        T: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
    {
        let mut tries = self.retries.call();
        loop {
            let fetched = self.fetch_once(&mut tries, statement, &bind).await;
            match fetched {
                Err(failure) if self.retires(&failure) && statement.is_read() && tries.again().await => {}
                fetched => return fetched,
            }
        }
    }

    async fn fetch_once<'q, T>(
        &self,
        tries: &mut Tries<'_>,
        statement: &'static Statement,
        bind: impl Fn(Rows<'q, DB, T>) -> Rows<'q, DB, T>,
    ) -> Result<Vec<T>, Failure>
    where
        T: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
    {
        // Behind a pooler BEGIN is sent first.
        let is_retried = statement.is_read() || self.observer.is_pooled();
        let mut connection = self.acquire(tries, if is_retried { FRESH } else { FRESH_FOR_WRITE }).await?;
        if self.observer.is_pooled() {
            let mut transaction = Transaction::begin(connection, &self.observer).await?;
            let rows = transaction.fetch_all(statement, bind).await?;
            return transaction.commit().await.map(|()| rows);
        }
        let (query, effect) = (bind(query_as(statement, &self.observer)), statement.effect());
        fetch_all(&self.observer, &mut connection, statement, effect, query).await
    }

    /// The row of a statement that has at most one; otherwise as [`Database::fetch_all`].
    ///
    /// # Errors
    /// What the database or the pool says.
    pub async fn fetch_optional<'q, T>(
        &self,
        statement: &'static Statement,
        bind: impl Fn(Rows<'q, DB, T>) -> Rows<'q, DB, T>,
    ) -> Result<Option<T>, Failure>
    where
        T: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
    {
        Ok(self.fetch_all(statement, bind).await?.pop())
    }

    /// How many rows it wrote. Never sent twice; a connection that was idle is pinged first, so that one that was closed
    /// meanwhile is replaced and not written to.
    ///
    /// # Errors
    /// What the database or the pool says.
    pub async fn execute<'q>(
        &self,
        statement: &'static Statement,
        bind: impl Fn(Writes<'q, DB>) -> Writes<'q, DB>,
    ) -> Result<u64, Failure> {
        self.execute_once(statement, bind).await.inspect_err(|failure| {
            self.retires(failure);
        })
    }

    async fn execute_once<'q>(
        &self,
        statement: &'static Statement,
        bind: impl Fn(Writes<'q, DB>) -> Writes<'q, DB>,
    ) -> Result<u64, Failure> {
        if self.observer.is_pooled() {
            let mut transaction = self.begin().await?;
            let rows = transaction.execute(statement, bind).await?;
            return transaction.commit().await.map(|()| rows);
        }
        let mut connection = self.acquire(&mut self.retries.call(), FRESH_FOR_WRITE).await?;
        let (query, effect) = (bind(query(statement, &self.observer)), statement.effect());
        execute(&self.observer, &mut connection, statement, effect, query).await
    }

    /// Begins a transaction. If the connection turns out to be dead, another one is tried: nothing was written.
    ///
    /// # Errors
    /// What the database or the pool says.
    pub async fn begin(&self) -> Result<Transaction<DB>, Failure> {
        let mut tries = self.retries.call();
        loop {
            let connection = self.acquire(&mut tries, FRESH).await?;
            match Transaction::begin(connection, &self.observer).await {
                Err(failure) if self.retires(&failure) && tries.again().await => {}
                begun => return begun,
            }
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// What the database or the pool says.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.fetch_all::<()>(&DB::STATEMENTS.ping, |query| query).await.map(drop)
    }
}

async fn fetch_all<DB, T>(
    observer: &Observer,
    connection: &mut Connection<DB>,
    statement: &'static Statement,
    effect: Effect,
    query: Rows<'_, DB, T>,
) -> Result<Vec<T>, Failure>
where
    DB: Engine,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    T: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
{
    let work = async {
        let rows = query.fetch_all(connection.lend()).await?;
        let count = u64::try_from(rows.len()).ok();
        Ok((rows, count))
    };
    let outcome = observer.call(statement, effect, work).await;
    connection.settled(&outcome);
    outcome
}

async fn execute<DB>(
    observer: &Observer,
    connection: &mut Connection<DB>,
    statement: &'static Statement,
    effect: Effect,
    query: Writes<'_, DB>,
) -> Result<u64, Failure>
where
    DB: Engine,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let work = async {
        let rows = DB::rows_affected(&query.execute(connection.lend()).await?);
        Ok((rows, Some(rows)))
    };
    let outcome = observer.call(statement, effect, work).await;
    connection.settled(&outcome);
    outcome
}

/// Nothing is prepared under a name on a connection that is somebody else's next.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn query_as<'q, DB: Engine, T>(statement: &'static Statement, observer: &Observer) -> Rows<'q, DB, T>
where
    T: for<'r> FromRow<'r, DB::Row>,
{
    sqlx::query_as(statement.sql).persistent(!observer.is_pooled())
}

/// The same for what writes.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn query<'q, DB: Engine>(statement: &'static Statement, observer: &Observer) -> Writes<'q, DB> {
    sqlx::query(statement.sql).persistent(!observer.is_pooled())
}
