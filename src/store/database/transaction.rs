//! Transactions: the same calls on one connection, all of them or none.

use std::sync::Arc;

use sqlx::{Executor, FromRow, SqlStr};

use super::{
    Engine, Failure, Rows, Statement, Writes,
    call::{Effect, Observer},
    connection::Connection,
    execute, fetch_all,
    pool::SETTLING,
    query, query_as,
};
use crate::{
    resilience::Deadline,
    telemetry::{self, Place},
};

/// A transaction that has begun. Dropped before [`Transaction::commit`] it is rolled back, as a call like any other,
/// in the trace that it was begun in.
pub struct Transaction<DB: Engine> {
    /// None once it is over.
    connection: Option<Connection<DB>>,
    /// What COMMIT does.
    effect: Effect,
    observer: Arc<Observer>,
    place: Place,
}

impl<DB: Engine> Transaction<DB> {
    pub(super) async fn begin(connection: Connection<DB>, observer: &Arc<Observer>) -> Result<Self, Failure> {
        let mut beginning = Beginning(Some(connection));
        let connection = beginning.0.as_mut().expect("taken only below");
        let begin = &DB::STATEMENTS.begin;
        let sql = observer.pooled_begin.clone().unwrap_or(SqlStr::from_static(begin.sql));
        control(begin, sql, Effect::Revocable, connection, observer).await?;
        let (connection, observer) = (beginning.0.take(), Arc::clone(observer));
        Ok(Self { connection, effect: Effect::Revocable, observer, place: Place::current() })
    }

    fn open(&mut self) -> (&mut Connection<DB>, &Observer) {
        let connection = self.connection.as_mut().expect("a transaction has its connection until it is consumed");
        (connection, &self.observer)
    }

    /// Notes whether COMMIT will keep a write.
    fn note(&mut self, statement: &Statement) {
        if statement.effect() == Effect::Final {
            self.effect = Effect::Final;
        }
    }

    /// Keeps what was done.
    ///
    /// # Errors
    /// What the database says. Whether anything was kept is then unknown.
    pub async fn commit(mut self) -> Result<(), Failure> {
        let effect = self.effect;
        let (connection, observer) = self.open();
        let commit = &DB::STATEMENTS.commit;
        control(commit, SqlStr::from_static(commit.sql), effect, connection, observer).await?;
        self.connection = None;
        Ok(())
    }

    /// Forgets what was done.
    ///
    /// # Errors
    /// What the database says. Nothing was kept.
    pub async fn rollback(mut self) -> Result<(), Failure> {
        let (connection, observer) = self.open();
        let rolled_back = rollback(connection, observer).await;
        self.connection = None;
        rolled_back
    }

    /// Keeps what was done if all of it was, and forgets it otherwise.
    ///
    /// # Errors
    /// Why it was not done, or what the database says of keeping it.
    pub async fn end<T, E: From<Failure>>(self, done: Result<T, E>) -> Result<T, E> {
        if done.is_ok() {
            self.commit().await?;
        } else if Deadline::current().is_none_or(|deadline| !deadline.left().is_zero()) {
            // That this failed too is told by its span, and comes to the same.
            drop(self.rollback().await);
        }
        // Where nobody waits any more, it is rolled back when it is dropped, and its connection lives on if that is soon.
        done
    }
}

impl<DB> Transaction<DB>
where
    DB: Engine,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// Every row.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_all<'q, T>(
        &mut self,
        statement: &'static Statement,
        bind: impl FnOnce(Rows<'q, DB, T>) -> Rows<'q, DB, T>,
    ) -> Result<Vec<T>, Failure>
    where
        T: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
    {
        self.note(statement);
        let (connection, observer) = self.open();
        fetch_all(observer, connection, statement, Effect::Revocable, bind(query_as(statement, observer))).await
    }

    /// The row of a statement that has at most one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fetch_optional<'q, T>(
        &mut self,
        statement: &'static Statement,
        bind: impl FnOnce(Rows<'q, DB, T>) -> Rows<'q, DB, T>,
    ) -> Result<Option<T>, Failure>
    where
        T: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
    {
        Ok(self.fetch_all(statement, bind).await?.pop())
    }

    /// How many rows it wrote.
    ///
    /// # Errors
    /// What the database says.
    pub async fn execute<'q>(
        &mut self,
        statement: &'static Statement,
        bind: impl FnOnce(Writes<'q, DB>) -> Writes<'q, DB>,
    ) -> Result<u64, Failure> {
        self.note(statement);
        let (connection, observer) = self.open();
        execute(observer, connection, statement, Effect::Revocable, bind(query(statement, observer))).await
    }
}

/// What cannot be rolled back is closed, which comes to the same.
async fn rollback<DB: Engine>(connection: &mut Connection<DB>, observer: &Observer) -> Result<(), Failure> {
    let rollback = &DB::STATEMENTS.rollback;
    let sql = SqlStr::from_static(rollback.sql);
    let rolled_back = control(rollback, sql, Effect::Revocable, connection, observer).await;
    if rolled_back.is_err() {
        connection.distrust();
    }
    rolled_back
}

async fn control<DB: Engine>(
    statement: &'static Statement,
    sql: SqlStr,
    effect: Effect,
    connection: &mut Connection<DB>,
    observer: &Observer,
) -> Result<(), Failure> {
    let work = async {
        DB::control(connection.lend(), sql).await?;
        Ok(((), None))
    };
    let outcome = observer.call(statement, effect, work).await;
    connection.settled(&outcome);
    outcome
}

impl<DB: Engine> Drop for Transaction<DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if tokio::runtime::Handle::try_current().is_err() {
            connection.distrust();
            return;
        }
        let (observer, place) = (Arc::clone(&self.observer), self.place.clone());
        drop(telemetry::spawn("rollback", async move {
            // The caller is gone; that it failed is told by its span. A statement that is still running would be waited
            // for: closing the connection ends it, and the transaction with it.
            let rolled_back = place.within(rollback(&mut connection, &observer));
            if tokio::time::timeout(SETTLING, rolled_back).await.is_err() {
                connection.distrust();
            }
        }));
    }
}

/// A connection that may or may not have heard of BEGIN. Given back to the pool in that state, later writes of others
/// would be part of a transaction that nobody commits; so it is closed unless BEGIN was answered.
struct Beginning<DB: Engine>(Option<Connection<DB>>);

impl<DB: Engine> Drop for Beginning<DB> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.distrust();
        }
    }
}
