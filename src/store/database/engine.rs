//! What the door must know of an engine beyond what sqlx knows.

use std::{future::Future, time::Duration};

use sqlx::{IntoArguments, SqlStr, database::HasStatementCache};

use super::Statements;

/// A database that the store can be kept in.
pub trait Engine: sqlx::Database<Arguments: IntoArguments<Self>> + HasStatementCache {
    /// Everything that is needed to open connections.
    type Connector: Send + Sync + 'static;

    /// `db.system.name`; names the pool too.
    const SYSTEM: &'static str;
    /// Everything that is ever asked of it, migrations aside.
    const STATEMENTS: &'static Statements;

    /// How many rows a statement wrote.
    fn rows_affected(result: &Self::QueryResult) -> u64;

    /// Opens a connection, and checks that it is what was asked for.
    fn connect(connector: &Self::Connector) -> impl Future<Output = Result<Self::Connection, sqlx::Error>> + Send;

    /// How a transaction begins whose connection is its own for just as long. Such a connection keeps no settings, so
    /// the transaction has to be told how long each of its statements may take.
    fn pooled_begin(ceiling: Duration) -> SqlStr;

    /// Runs a statement without values or rows, unprepared: BEGIN, COMMIT, ROLLBACK.
    fn control(connection: &mut Self::Connection, sql: SqlStr) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}
