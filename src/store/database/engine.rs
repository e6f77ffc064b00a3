//! What the door must know of an engine beyond what sqlx knows.

use std::future::Future;

use sqlx::IntoArguments;

use super::Statements;

/// A database that the store can be kept in.
pub trait Engine: sqlx::Database<Arguments: IntoArguments<Self>> {
    /// `db.system.name`; names the pool too.
    const SYSTEM: &'static str;
    /// Everything that is ever asked of it, migrations aside.
    const STATEMENTS: &'static Statements;

    /// How many rows a statement wrote.
    fn rows_affected(result: &Self::QueryResult) -> u64;

    /// Runs a statement without values or rows, unprepared: BEGIN, COMMIT, ROLLBACK.
    fn control(
        connection: &mut Self::Connection,
        sql: &'static str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}
