//! How much work SQLite does for each statement: no more with many rows than with few. It counts the steps of SQLite's
//! virtual machine, since its plans do not say how many rows were read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use glasshouse::store::sqlite::STATEMENTS;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};

use crate::{
    plans::{values, worst_values},
    support::{On, Opened},
};

const FEW: u32 = 1_000;
const MANY: u32 = 20_000;

/// As many rows in each table; every 1000th user is an admin.
const LOAD: &str = "
WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ROWS)
INSERT INTO users (id, email, email_key, name, role, password_hash, version, created_at, updated_at)
SELECT unhex('0190000000007000' || printf('8000%012x', i)), 'User' || i || '@Example.com',
       'user' || i || '@example.com', 'User', iif(i % 1000 = 0, 'admin', 'user'), 'h', 1, '2026', '2026' FROM numbers;
WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ROWS)
INSERT INTO sessions (id, user_id, family, secret, created_at, expires_at)
SELECT unhex('0190000100007000' || printf('8000%012x', i)), unhex('0190000000007000' || printf('8000%012x', i)),
       unhex(printf('%032x', i)), zeroblob(32), '2026', printf('2026-02-01T%012d', i) FROM numbers;
WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ROWS)
INSERT INTO idempotency_keys (key, request, user_id, password_hash, registered_at)
SELECT unhex(printf('%064x', i)), zeroblob(32), zeroblob(16), 'h', printf('2026-02-01T%012d', i) FROM numbers;
WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ROWS)
INSERT INTO audit (id, at, actor, action, subject, fields)
SELECT unhex('0190000200007000' || printf('8000%012x', i)), printf('2026-02-01T%012d', i), NULL, 'change',
       unhex('0190000000007000' || printf('8000%012x', i / 3)), 'name' FROM numbers;
ANALYZE";

async fn loaded(rows: u32) -> (Opened, SqliteConnection) {
    let store = On::Sqlite.open().await;
    let mut connection = SqliteConnection::connect(&store.fresh.url).await.unwrap();
    connection.execute(AssertSqlSafe(LOAD.replace("ROWS", &rows.to_string()))).await.unwrap();
    // Rows that the values refer to are not in the smaller tables.
    connection.execute("PRAGMA foreign_keys = OFF").await.unwrap();
    (store, connection)
}

/// A literal of PostgreSQL as one of SQLite: ids and bytes are blobs.
fn literal(value: &str) -> String {
    let text = value.trim_matches('\'');
    match text.strip_prefix("\\x") {
        Some(hex) => format!("x'{hex}'"),
        None if text.len() == 36 && text.split('-').count() == 5 => format!("x'{}'", text.replace('-', "")),
        None => value.to_owned(),
    }
}

/// The statement with its values in it.
fn filled(sql: &str, values: &[&str]) -> String {
    let numbered = values.iter().enumerate().rev();
    numbered.fold(sql.to_owned(), |sql, (index, value)| sql.replace(&format!("${}", index + 1), &literal(value)))
}

/// Runs the statement, rolls it back, and says how many steps it took.
async fn steps(connection: &mut SqliteConnection, sql: String) -> u64 {
    connection.execute("BEGIN").await.unwrap();
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    connection.lock_handle().await.unwrap().set_progress_handler(1, move || {
        counted.fetch_add(1, Relaxed);
        true
    });
    connection.fetch_all(AssertSqlSafe(sql.clone())).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.lock_handle().await.unwrap().remove_progress_handler();
    connection.execute("ROLLBACK").await.unwrap();
    steps.load(Relaxed)
}

#[tokio::test]
async fn statements_take_as_many_steps_with_many_rows_as_with_few() {
    let (mut few, mut many) = (loaded(FEW).await, loaded(MANY).await);
    for (name, statement) in STATEMENTS.all() {
        for values in values(name).into_iter().chain(worst_values(name)) {
            let sql = filled(statement.sql, &values);
            let (less, more) = (steps(&mut few.1, sql.clone()).await, steps(&mut many.1, sql.clone()).await);
            // One step or more for each row that is read: a page of 21 rows takes some hundreds.
            let bound = 2 * less.max(1_000);
            assert!(more <= bound, "{name}: {less} steps with {FEW} rows, {more} with {MANY}: {sql}");
        }
    }
}
