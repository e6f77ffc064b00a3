//! The readiness check of the store: it fails, with the reason, for everything without which requests fail.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use glasshouse::{
    domain::users::{Email, StoreError},
    faults::Switchboard,
    store::Store,
    telemetry::{Metrics, Tracer},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection, migrate::Migrator};

use crate::{
    postgres::Postgres,
    support::{Engine, On, Opened, config},
};

crate::on_both! {
    readiness_succeeds_on_migrated_schema,
    readiness_fails_on_empty_database_and_names_remedy,
    readiness_fails_on_pending_migration,
    readiness_fails_when_any_table_or_column_is_missing,
}

/// Runs one statement on a connection of its own.
async fn run(on: On, store: &Opened, statement: &str) -> Result<(), sqlx::Error> {
    let statement = AssertSqlSafe(statement.to_owned());
    match on.engine() {
        Engine::Sqlite => SqliteConnection::connect(&store.fresh.url).await?.execute(statement).await.map(drop),
        Engine::Postgres => PgConnection::connect(&store.fresh.url).await?.execute(statement).await.map(drop),
    }
}

async fn reason(store: &Store) -> String {
    store.check().await.expect_err("the check fails")
}

fn file(store: &Opened) -> PathBuf {
    store.fresh.url.strip_prefix("sqlite://").unwrap().strip_suffix("?mode=rwc").unwrap().into()
}

async fn readiness_succeeds_on_migrated_schema(on: On) {
    let store = on.open().await;
    assert_eq!(store.check().await, Ok(()));
    store.with_user("ann@example.com").await;
    assert_eq!(store.check().await, Ok(()));
}

async fn readiness_fails_on_empty_database_and_names_remedy(on: On) {
    let fresh = on.fresh().await;
    let store = Store::open(&config(&fresh.url), Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
    if on.engine() == Engine::Sqlite {
        fs::create_dir_all(fresh.url.trim_start_matches("sqlite://").rsplit_once('/').unwrap().0).unwrap();
    }
    let reason = reason(&store).await;
    assert!(reason.contains("_sqlx_migrations") && reason.contains("glasshouse migrate up"), "{reason}");
}

async fn readiness_fails_on_pending_migration(on: On) {
    let store = on.open().await;
    run(on, &store, "DELETE FROM _sqlx_migrations WHERE version = 2").await.unwrap();
    let known = store.migrations().await.unwrap().len();
    let expected = format!("{} of {known} migrations", known - 1);
    let reason = reason(&store).await;
    assert!(reason.contains(&expected) && reason.contains("glasshouse migrate up"), "{reason}");
}

/// Names a column anew and back again, for each column that the migrations made, and a table as well.
async fn readiness_fails_when_any_table_or_column_is_missing(on: On) {
    let store = on.open().await;
    let mut missing = 0;
    for (table, columns) in schema(on, &store).await {
        let renamed = (format!("ALTER TABLE {table} RENAME TO gone"), format!("ALTER TABLE gone RENAME TO {table}"));
        let columns = columns.iter().map(|column| {
            let rename = |from: &str, to: &str| format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}");
            (rename(column, "gone"), rename("gone", column))
        });
        for (there, back) in columns.chain([renamed]) {
            run(on, &store, &there).await.unwrap();
            let reason = reason(&store).await;
            assert!(reason.contains("glasshouse migrate up"), "{there}: {reason}");
            run(on, &store, &back).await.unwrap();
            missing += 1;
        }
    }
    assert!(missing > 30, "{missing}");
    assert_eq!(store.check().await, Ok(()));
}

/// Every table that the migrations made, with its columns.
async fn schema(on: On, store: &Opened) -> Vec<(String, Vec<String>)> {
    let pairs: Vec<(String, String)> = match on.engine() {
        Engine::Sqlite => {
            let mut connection = SqliteConnection::connect(&store.fresh.url).await.unwrap();
            let columns = "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c \
                           WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'";
            let rows = connection.fetch_all(columns).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        }
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&store.fresh.url).await.unwrap();
            let columns = "SELECT table_name::text, column_name::text FROM information_schema.columns \
                           WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'";
            let rows = connection.fetch_all(columns).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        }
    };
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for (table, column) in pairs {
        match tables.iter_mut().find(|(name, _)| *name == table) {
            Some((_, columns)) => columns.push(column),
            None => tables.push((table, vec![column])),
        }
    }
    tables
}

#[tokio::test]
async fn readiness_fails_when_database_file_is_removed() {
    let store = On::Sqlite.open().await;
    store.with_user("ann@example.com").await;
    assert_eq!(store.check().await, Ok(()));
    fs::remove_file(file(&store)).unwrap();
    let reason = reason(&store).await;
    assert!(reason.contains("was removed while it was open"), "{reason}");
    assert!(!file(&store).exists(), "the check creates no file");
}

#[tokio::test]
async fn readiness_fails_when_database_file_is_replaced_and_opens_no_connection_to_it() {
    // Each call opens a connection.
    let store = On::Sqlite.open_with(|config| config.max_lifetime = Duration::from_millis(1)).await;
    let other = On::Sqlite.open().await;
    store.with_user("ann@example.com").await;
    fs::rename(file(&other), file(&store)).unwrap();
    let reason = reason(&store).await;
    assert!(reason.contains("was replaced while it was open"), "{reason}");
    let failed = store.users.credentials(&Email::parse("ann@example.com").unwrap()).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
}

#[tokio::test]
async fn readiness_fails_when_database_file_is_overwritten() {
    let store = On::Sqlite.open().await;
    store.with_user("ann@example.com").await;
    // What is in the log of writes is moved into the file.
    run(On::Sqlite, &store, "PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    // From now on the connections of the pool have every page in their cache.
    assert_eq!(store.check().await, Ok(()));
    let length = fs::metadata(file(&store)).unwrap().len();
    let noise = vec![0x5a; usize::try_from(length).unwrap()];
    // In place: the same file, device and inode.
    fs::write(file(&store), noise).unwrap();
    let reason = reason(&store).await;
    assert!(reason.contains("answered 26") || reason.contains("answered 11"), "{reason}");
    fs::write(file(&store), []).unwrap();
    assert!(self::reason(&store).await.contains("was emptied"), "it has no bytes any more");
}

/// SQLite opens a file of a later write version only to read it, whatever the permissions of the process are.
#[tokio::test]
async fn readiness_fails_when_database_file_is_read_only() {
    let store = On::Sqlite.open().await;
    run(On::Sqlite, &store, "PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    let opened = fs::OpenOptions::new().write(true).open(file(&store)).unwrap();
    opened.write_all_at(&[WRITE_VERSION + 1], WRITE_VERSION_OFFSET).unwrap();
    let reason = reason(&store).await;
    assert!(reason.contains("answered 8") && reason.contains("read-only for this process"), "{reason}");
    opened.write_all_at(&[WRITE_VERSION], WRITE_VERSION_OFFSET).unwrap();
    assert_eq!(store.check().await, Ok(()));
}

/// Write version of a file with a write-ahead log, and its place: <https://www.sqlite.org/fileformat.html>.
const WRITE_VERSION: u8 = 2;
const WRITE_VERSION_OFFSET: u64 = 18;

#[tokio::test]
async fn readiness_fails_when_write_ahead_log_is_removed() {
    for suffix in ["-wal", "-shm"] {
        let store = On::Sqlite.open().await;
        store.with_user("ann@example.com").await;
        assert_eq!(store.check().await, Ok(()));
        let mut path = file(&store).into_os_string();
        path.push(suffix);
        fs::remove_file(&path).unwrap();
        let reason = reason(&store).await;
        assert!(reason.contains("write-ahead log was removed while it was open"), "{suffix}: {reason}");
        assert!(!PathBuf::from(&path).exists(), "the check creates no log");
        store.close().await;
        let mut connection = SqliteConnection::connect(&store.fresh.url).await.unwrap();
        let users: i64 = connection.fetch_one("SELECT count(*) FROM users").await.unwrap().get(0);
        assert_eq!(users, 1, "the last connection moved the log into the file");
    }
}

#[tokio::test]
async fn readiness_succeeds_while_connections_open_and_close() {
    let store = On::Sqlite.open_with(|config| config.max_lifetime = Duration::from_millis(1)).await;
    for _ in 0..200 {
        assert_eq!(store.check().await, Ok(()));
    }
}

#[tokio::test]
async fn readiness_succeeds_while_another_process_writes() {
    let store = On::Sqlite.open().await;
    let mut other = SqliteConnection::connect(&store.fresh.url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(store.check().await, Ok(()));
}

/// As by a migration: statements are slow, and the service can do nothing better than wait for it.
#[tokio::test]
async fn readiness_succeeds_while_a_table_is_locked() {
    let store = On::Postgres.open().await;
    let mut other = PgConnection::connect(&store.fresh.url).await.unwrap();
    other.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // Shorter than the statement timeout, which would end the wait for the lock.
    let checked = tokio::time::timeout(Duration::from_secs(20), store.check()).await;
    assert_eq!(checked, Ok(Ok(())));
}

#[tokio::test]
async fn readiness_fails_on_database_whose_encoding_is_not_utf8() {
    let name = format!("latin_{}", std::process::id());
    let mut root = PgConnection::connect(Postgres::get().url().as_str()).await.unwrap();
    let create = format!("CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    root.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).await.unwrap();
    root.execute(AssertSqlSafe(create)).await.unwrap();
    let mut url = Postgres::get().url().clone();
    url.set_path(&name);
    let metrics = Metrics::new(1000);
    let store = Store::open(&config(url.as_str()), Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
    let refused = store.migrate_up().await.unwrap_err();
    assert!(refused.to_string().contains("is LATIN1 and must be UTF8"), "{refused}");
    // The whole schema, as an earlier version made it there.
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    let migrator = Migrator::new(Path::new("migrations/postgres")).await.unwrap();
    migrator.run_direct(None, &mut connection, false).await.unwrap();
    let reason = reason(&store).await;
    assert!(reason.contains("is LATIN1 and must be UTF8"), "{reason}");
    // Text that the encoding lacks is the client's fault to mend, not a fault of the service.
    let mut user = crate::support::user("ann@example.com");
    user.name = glasshouse::domain::users::Name::parse("\u{410}\u{43d}\u{43d}\u{430}").unwrap();
    let failed = store.users.insert(&user, &crate::support::hash("x"), None, None).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unrepresentable(_)), "{failed:?}");
    store.close().await;
    drop(connection);
}

#[tokio::test]
async fn readiness_fails_when_role_lacks_privilege_and_names_it() {
    let store = On::Postgres.open().await;
    let role = format!("reader_{}", std::process::id());
    let make = format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN; \
         GRANT SELECT ON users, sessions, idempotency_keys, known_networks, _sqlx_migrations TO {role}"
    );
    run(On::Postgres, &store, &make).await.unwrap();
    let mut url: url::Url = store.fresh.url.parse().unwrap();
    url.set_username(&role).unwrap();
    let metrics = Metrics::new(1000);
    let limited = Store::open(&config(url.as_str()), Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
    let denied = reason(&limited).await;
    assert!(denied.contains("42501") && denied.contains("GRANT SELECT"), "{denied}");
    let grant =
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON audit, sessions, idempotency_keys, known_networks TO {role}");
    run(On::Postgres, &store, &grant).await.unwrap();
    let denied = reason(&limited).await;
    assert_eq!(denied, "the role lacks privileges: GRANT INSERT ON users, UPDATE ON users, DELETE ON users");
    run(On::Postgres, &store, &format!("GRANT INSERT, UPDATE, DELETE ON users TO {role}")).await.unwrap();
    assert_eq!(limited.check().await, Ok(()));
    limited.close().await;
    run(On::Postgres, &store, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}
