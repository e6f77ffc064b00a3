//! The readiness check of the store: asks for everything that requests need, in one statement and without writing.

use std::time::Duration;

use futures_util::future::join;
use sqlx::{Executor, FromRow};
use tokio::time::timeout;

use super::{
    database::{Database, Engine},
    failure::Failure,
    sqlite::FileChanged,
};

/// The answer to `check_schema`.
#[derive(FromRow)]
pub(super) struct SchemaRow {
    /// How many of the migrations that this program knows the database has.
    applied: i64,
    /// The encoding of the database.
    encoding: String,
    /// Privileges that the role does not have.
    missing: Option<String>,
}

/// Why the store cannot serve, although the process can.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// The database is away, or its answer is an error.
    #[error(transparent)]
    Database(#[from] Failure),
    /// A table or a column is missing.
    #[error("{0}; the schema is incomplete: apply the migrations with `glasshouse migrate up`")]
    Schema(#[source] Failure),
    /// The role may not read a table.
    #[error("{0}; GRANT SELECT, INSERT, UPDATE, DELETE on the tables of the service, and SELECT ON _sqlx_migrations")]
    Denied(#[source] Failure),
    /// Migrations are missing.
    #[error("the schema has {applied} of {known} migrations: apply the others with `glasshouse migrate up`")]
    Outdated {
        /// Those that the database has.
        applied: i64,
        /// Those that this program knows.
        known: i64,
    },
    /// The database cannot store every character.
    #[error("the encoding of the database is {0} and must be UTF8: create the database with ENCODING 'UTF8'")]
    Encoding(String),
    /// The role may not do what requests need.
    #[error("the role lacks privileges: GRANT {0}")]
    Privileges(String),
    /// The database file is another one.
    #[error(transparent)]
    File(#[from] FileChanged),
    /// The database file cannot be written.
    #[error("{0}; the database file or its folder is read-only for this process")]
    ReadOnly(#[source] Failure),
}

impl Unfit {
    /// The reason why the database file cannot serve.
    pub(super) fn of_file(failure: Failure) -> Self {
        if failure.is_read_only() { Self::ReadOnly(failure) } else { Self::Database(failure) }
    }

    /// The failed call, if a call failed.
    pub(super) const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Database(failure) | Self::Schema(failure) | Self::Denied(failure) | Self::ReadOnly(failure) => {
                Some(failure)
            }
            Self::Outdated { .. } | Self::Encoding(_) | Self::Privileges(_) | Self::File(_) => None,
        }
    }
}

/// Checks the schema, the privileges and the encoding, given the versions of the migrations that this program knows.
///
/// A table that is locked, as by a migration, makes statements slow and is no reason to take no traffic. So a ping runs
/// beside the question: it decides where the schema is not answered for within half of `limit`, and may itself wait for a
/// connection until the caller gives up.
///
/// # Errors
/// What is missing.
pub(super) async fn check<DB>(database: &Database<DB>, known: &[i64], limit: Duration) -> Result<(), Unfit>
where
    DB: Engine,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'r> SchemaRow: FromRow<'r, DB::Row>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    let newest = known.iter().copied().max().unwrap_or_default();
    let known = i64::try_from(known.len()).unwrap_or(i64::MAX);
    let asked = database.fetch_optional(&DB::STATEMENTS.check_schema, |query| query.bind(newest));
    let (pinged, asked) = join(Box::pin(database.ping()), timeout(limit / 2, Box::pin(asked))).await;
    let answer: Result<Option<SchemaRow>, Failure> = match asked {
        Ok(Err(failure)) if failure.is_statement_timeout() => Ok(None),
        Ok(answer) => answer,
        Err(_) => Ok(None),
    };
    let row = answer.map_err(|failure| {
        if failure.is_schema_missing() {
            Unfit::Schema(failure)
        } else if failure.is_permission_denied() {
            Unfit::Denied(failure)
        } else {
            Unfit::Database(failure)
        }
    })?;
    pinged?;
    let Some(SchemaRow { applied, encoding, missing }) = row else { return Ok(()) };
    if encoding != "UTF8" {
        return Err(Unfit::Encoding(encoding));
    }
    if applied < known {
        return Err(Unfit::Outdated { applied, known });
    }
    missing.map_or(Ok(()), |missing| Err(Unfit::Privileges(missing)))
}
