//! What is in the database in the end, read without the service.

use sqlx::{ColumnIndex, Connection, Database, Decode, Executor, PgConnection, Row, SqliteConnection, Type};
use uuid::Uuid;

use crate::model::{Book, View, What};

const USERS: &str = "SELECT replace(CAST(id AS text), '-', ''), email, name, version FROM users ORDER BY email";
const USERS_OF_SQLITE: &str = "SELECT lower(hex(id)), email, name, version FROM users ORDER BY email";
/// Rows that mean nothing without another row, or that are there twice.
const ASTRAY: &str = "\
SELECT count(*) FROM sessions WHERE user_id NOT IN (SELECT id FROM users) \
UNION ALL SELECT count(*) - count(DISTINCT email_key) FROM users \
UNION ALL SELECT count(*) FROM users WHERE email_key <> lower(email) OR updated_at < created_at OR role <> 'user' \
    OR password_hash NOT LIKE '$argon2id$%'";

/// Every account in it.
///
/// # Panics
/// If the database does not hang together in itself.
pub(crate) async fn users(url: &str) -> Vec<View> {
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        for check in ["PRAGMA integrity_check", "PRAGMA foreign_key_check"] {
            let rows = connection.fetch_all(check).await.unwrap();
            let said: Vec<_> = rows.iter().map(|row| row.get::<String, _>(0)).collect();
            assert!(said.iter().all(|line| line == "ok"), "{check}: {said:?}");
        }
        let (users, astray) =
            (connection.fetch_all(USERS_OF_SQLITE).await.unwrap(), connection.fetch_all(ASTRAY).await.unwrap());
        connection.close().await.unwrap();
        whole(&astray);
        users.iter().map(view).collect()
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let (users, astray) = (connection.fetch_all(USERS).await.unwrap(), connection.fetch_all(ASTRAY).await.unwrap());
        connection.close().await.unwrap();
        whole(&astray);
        users.iter().map(view).collect()
    }
}

/// Notes for each account whether it is there.
pub(crate) async fn note_all(url: &str, book: &Book) {
    let began = book.now();
    note(&users(url).await, book, began);
}

/// Notes what was found of each account, by a look that began at that moment.
pub(crate) fn note(users: &[View], book: &Book, began: u64) {
    let accounts = book.accounts();
    for (page, account) in accounts.iter().enumerate() {
        let found = users.iter().find(|user| user.email == account.email);
        book.note(page, began, What::Look(found.cloned()));
    }
    let strangers: Vec<_> = users.iter().filter(|user| !accounts.iter().any(|it| it.email == user.email)).collect();
    assert!(strangers.is_empty(), "nobody has asked for {strangers:?}");
}

fn view<'r, R>(row: &'r R) -> View
where
    R: Row,
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let id: Uuid = row.get::<String, _>(0).parse().unwrap();
    View { id: id.to_string(), email: row.get(1), name: row.get(2), version: row.get(3) }
}

fn whole<'r, R, D>(astray: &'r [R])
where
    D: Database,
    R: Row<Database = D>,
    usize: ColumnIndex<R>,
    i64: Decode<'r, D> + Type<D>,
{
    let counts: Vec<i64> = astray.iter().map(|row| row.get(0)).collect();
    assert_eq!(counts, [0, 0, 0], "sessions of nobody, addresses twice, rows that are half written");
}
