//! The door: every statement is one that its engine takes, and calls and waits are counted.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use futures_util::future::join_all;
use glasshouse::{
    domain::users::{StoreError, UserId},
    faults::Switchboard,
    store::{self, OpenError, Store},
    telemetry::{Metrics, Request, Tracer},
};
use prometheus::proto::{Metric, MetricType};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::support::{Engine, On, Opened, config, hash, now, session, user};

crate::on_both! {
    each_call_is_counted_once_with_its_outcome,
    a_request_knows_its_statements,
    waiting_for_a_pool_of_one_is_seen,
    a_call_that_waits_in_vain_is_unavailable_and_counted,
    no_statement_takes_longer_than_it_may,
    a_transaction_that_nobody_waits_for_is_rolled_back,
    a_row_that_means_nothing_is_broken,
    a_closed_store_is_unavailable,
    a_schema_that_is_not_there_yet_is_unavailable,
}

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    let store = On::Sqlite.open().await;
    let mut connection = SqliteConnection::connect(&store.fresh.url).await.unwrap();
    for (name, statement) in store::sqlite::STATEMENTS.all() {
        let prepared = connection.prepare(sqlx::SqlSafeStr::into_sql_str(statement.sql)).await;
        prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn every_statement_prepares_on_postgres() {
    let store = On::Postgres.open().await;
    let mut connection = PgConnection::connect(&store.fresh.url).await.unwrap();
    for (name, statement) in store::postgres::STATEMENTS.all() {
        let prepared = connection.prepare(sqlx::SqlSafeStr::into_sql_str(statement.sql)).await;
        prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn a_url_that_cannot_work_is_refused_in_words() {
    for (url, expected) in [
        ("mysql://localhost/users", "a URL that begins with sqlite:// or"),
        ("sqlite:", "a file"),
        ("sqlite://", "a file"),
        ("sqlite::memory:", "a file"),
        ("sqlite://%3Amemory%3A?mode=rwc", "a file"),
        ("sqlite://file%3Ausers.db%3Fmode=memory", "a file"),
        ("sqlite://users.db?mode=memory", "mode rwc or rw"),
        ("sqlite://users.db?journal=wal", "`journal` is not among them"),
        ("sqlite://users.db?mode=ro", "mode rwc or rw"),
        ("sqlite://users.db?mode=odd", "mode rwc or rw"),
        ("postgres://ann:s3cret-canary@db/users?sslmode=odd", "`sslmode` is disable, allow, prefer, require"),
        ("postgres://ann@db/users?sslpassword=s3cret-canary", "`sslpassword` is not among them"),
        ("postgres:///users", "with a host"),
        ("postgres:users?sslmode=disable", "with a host"),
    ] {
        let config = config(url);
        let accepted = config.fault().expect(url).to_string();
        assert!(accepted.contains(expected) && !accepted.contains("canary"), "{url}: {accepted}");
        let refused: Result<_, OpenError> =
            Store::open(&config, Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await;
        assert_eq!(refused.err().expect(url).to_string(), format!("DATABASE_URL must be {accepted}"));
    }
}

#[tokio::test]
async fn sqlite_files_are_readable_by_their_owner_only_and_an_existing_mode_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/users.db");
    let open = async || {
        let config = config(&format!("sqlite://{}?mode=rwc", path.display()));
        let store = Store::open(&config, Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
        store.migrate_up().await.unwrap();
        store
    };
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let store = open().await;
    store.ping().await.unwrap();
    let mut files: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert_eq!(files, ["users.db", "users.db-shm", "users.db-wal"].map(|name| path.with_file_name(name)));
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    store.close().await;
    for kept in [0o400, 0o640] {
        fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
        open().await.close().await;
        assert_eq!(mode(&path), kept);
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_its_password_is_not_told() {
    // Nobody listens on port 1, and who is refused does not wait for the end of its time.
    let mut config = config("postgres://ann:s3cret-canary@127.0.0.1:1/users");
    config.acquire_timeout = Duration::from_hours(1);
    let metrics = Metrics::new(1000);
    let store = Store::open(&config, Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
    let told = tokio::time::timeout(Duration::from_mins(1), store.ping()).await.unwrap().unwrap_err();
    assert_eq!(value(&metrics, "db_client_connection_timeouts_total"), 0.0);
    assert!(!told.contains("s3cret-canary"), "{told}");
    let failed = store.users.get(UserId::generate()).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    assert!(!format!("{failed:?}").contains("s3cret-canary"));
}

/// A role whose connections are used up: only then does a server say so of somebody who is no superuser.
#[tokio::test]
async fn who_finds_the_server_full_waits_until_a_connection_is_free() {
    let fresh = On::Postgres.open().await;
    let ann = fresh.with_user("ann@example.com").await;
    let mut root = PgConnection::connect(&fresh.fresh.url).await.unwrap();
    let role = format!("narrow_{}", std::process::id());
    let make = format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN CONNECTION LIMIT 1");
    root.execute(sqlx::AssertSqlSafe(make)).await.unwrap();
    root.execute(sqlx::AssertSqlSafe(format!("GRANT SELECT ON users TO {role}"))).await.unwrap();
    let mut narrow: url::Url = fresh.fresh.url.parse().unwrap();
    narrow.set_username(&role).unwrap();
    let taken = PgConnection::connect(narrow.as_str()).await.unwrap();

    let config = config(narrow.as_str());
    let metrics = Metrics::new(1000);
    let store = Store::open(&config, Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
    let waits = async {
        while value(&metrics, "db_client_connection_pending_requests") < 1.0 {
            tokio::task::yield_now().await;
        }
        // Whoever asked before us has been refused when we are.
        for _ in 0..3 {
            PgConnection::connect(narrow.as_str()).await.unwrap_err();
        }
        taken.close().await.unwrap();
    };
    let (read, ()) = tokio::join!(store.users.get(ann.id), waits);
    assert_eq!(read.unwrap(), Some(ann));
    store.close().await;
    root.execute(sqlx::AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}"))).await.unwrap();
}

async fn each_call_is_counted_once_with_its_outcome(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    store.users.insert(&user("ann@example.com"), &hash("x"), None, None).await.unwrap_err();
    store.users.set_password(ann.id, &hash("first"), &hash("second"), None, None).await.unwrap();
    let taken = if on.engine() == Engine::Sqlite { "2067" } else { "23505" };
    let expected = [
        ("BEGIN", "", 1),
        ("COMMIT", "", 1),
        ("DELETE sessions by user", "", 1),
        ("INSERT users", "", 1),
        ("INSERT users", taken, 1),
        ("UPDATE users password", "", 1),
    ];
    let expected = expected.map(|(summary, error, count)| ((summary.to_owned(), error.to_owned()), count));
    assert_eq!(calls(&store.metrics), BTreeMap::from(expected));
    assert_eq!(
        outcomes(&store.metrics),
        ["client=1", "failure=0", "success=5"],
        "failures stand at zero from the start"
    );
}

async fn a_request_knows_its_statements(on: On) {
    let store = on.open().await;
    let request = std::sync::Arc::new(Request::new("r".to_owned()));
    let (old, new) = (hash("first"), hash("second"));
    let change = store.users.set_password(UserId::generate(), &old, &new, None, None);
    request.clone().scope(change).await.unwrap_err();
    assert_eq!(request.statements(), 3, "BEGIN, UPDATE, ROLLBACK");
    assert!(request.statement_time() > Duration::ZERO);
}

async fn waiting_for_a_pool_of_one_is_seen(on: On) {
    let store = on.open_with(|config| config.max_connections = 1).await;
    let ann = store.with_user("ann@example.com").await;
    let before = observations(&store.metrics, "db_client_connection_wait_time_seconds");
    join_all((0..10).map(|_| store.users.get(ann.id))).await;
    assert_eq!(observations(&store.metrics, "db_client_connection_wait_time_seconds"), before + 10);
    assert_eq!(observations(&store.metrics, "db_client_connection_create_time_seconds"), 1);
    assert!(observations(&store.metrics, "db_client_connection_use_time_seconds") >= 10);
    assert_eq!(value(&store.metrics, "db_client_connection_max"), 1.0);
    assert_eq!(value(&store.metrics, "db_client_connection_pending_requests"), 0.0);
}

async fn a_call_that_waits_in_vain_is_unavailable_and_counted(on: On) {
    let store = on.open_with(|config| {
        config.max_connections = 1;
        config.acquire_timeout = Duration::from_millis(200);
    });
    let store = store.await;
    let ann = store.with_user("ann@example.com").await;
    // The write keeps the only connection.
    let other = Other::in_the_way_of_writes(on, &store).await;
    let blocked = store.users.remove(&ann, None, None);
    let waits = async {
        let failed = store.users.get(ann.id).await.unwrap_err();
        assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
        other.go().await;
    };
    let (removed, ()) = tokio::join!(biased; blocked, waits);
    removed.unwrap();
    assert_eq!(value(&store.metrics, "db_client_connection_timeouts_total"), 1.0);
}

async fn no_statement_takes_longer_than_it_may(on: On) {
    let store = on.open_with(|config| config.statement_timeout = Duration::from_millis(100)).await;
    let ann = store.with_user("ann@example.com").await;
    let other = Other::in_the_way_of_writes(on, &store).await;
    let writes = [
        tokio::time::timeout(Duration::from_secs(10), store.users.remove(&ann, None, None)).await,
        tokio::time::timeout(
            Duration::from_secs(10),
            store.users.set_password(ann.id, &hash("first"), &hash("second"), None, None),
        )
        .await,
    ];
    for written in writes {
        let failed = written.expect("it ends by itself").unwrap_err();
        assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    }
    other.go().await;
    // Nothing of it was kept, and nothing of it is left open.
    store.users.set_password(ann.id, &hash("first"), &hash("second"), None, None).await.unwrap();
    store.users.remove(&ann, None, None).await.unwrap();
}

/// Somebody else, who has what every write needs.
enum Other {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Other {
    async fn in_the_way_of_writes(on: On, store: &Opened) -> Self {
        match on.engine() {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&store.fresh.url).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Self::Sqlite(connection)
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&store.fresh.url).await.unwrap();
                connection.execute("BEGIN; LOCK TABLE users IN EXCLUSIVE MODE").await.unwrap();
                Self::Postgres(connection)
            }
        }
    }

    async fn go(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

async fn a_transaction_that_nobody_waits_for_is_rolled_back(on: On) {
    let store = on.open_with(|config| config.max_connections = 1).await;
    let ann = store.with_user("ann@example.com").await;
    // Dropped after each number of polls that it can be dropped after: in BEGIN, in between, in COMMIT.
    for polls in 1..40 {
        let (old, new) = (hash("never"), hash("second"));
        let mut change = Box::pin(store.users.set_password(ann.id, &old, &new, None, None));
        for _ in 0..polls {
            if futures_util::poll!(&mut change).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(change);
        store.users.insert(&user(&format!("u{polls}@example.com")), &hash("x"), None, None).await.unwrap();
    }
    // Seen from outside the pool, nothing that was acknowledged is part of a transaction that nobody commits.
    let other =
        Store::open(&config(&store.fresh.url), Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
    assert_eq!(other.users.list(&glasshouse::domain::users::Filter::default(), None, 100).await.unwrap().len(), 40);
}

async fn a_row_that_means_nothing_is_broken(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let spoil = "UPDATE users SET email = 'canary'";
    match on.engine() {
        Engine::Sqlite => {
            SqliteConnection::connect(&store.fresh.url).await.unwrap().execute(spoil).await.unwrap();
        }
        Engine::Postgres => {
            PgConnection::connect(&store.fresh.url).await.unwrap().execute(spoil).await.unwrap();
        }
    }
    let failed = store.users.get(ann.id).await.unwrap_err();
    assert!(matches!(failed, StoreError::Broken(_)), "{failed:?}");
    assert!(!format!("{failed:?}").contains("canary"), "{failed:?}");
}

async fn a_closed_store_is_unavailable(on: On) {
    let store = on.open().await;
    store.close().await;
    let failed = store.sessions.start(&session(UserId::generate()), &hash("first"), 100).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    assert!(store.ping().await.is_err());
}

async fn a_schema_that_is_not_there_yet_is_unavailable(on: On) {
    let fresh = on.fresh().await;
    let metrics = Metrics::new(1000);
    let store = Store::open(&config(&fresh.url), Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
    let failures = [
        store.users.get(UserId::generate()).await.map(drop),
        store.users.insert(&user("ann@example.com"), &hash("x"), None, None).await,
        store.sessions.sweep(now(), 1).await.map(drop),
    ];
    for failed in failures {
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    }
    match on.engine() {
        Engine::Sqlite => {
            let path = std::path::Path::new(fresh.url.trim_start_matches("sqlite://").trim_end_matches("?mode=rwc"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut connection = SqliteConnection::connect(&fresh.url).await.unwrap();
            connection.execute("CREATE TABLE users (id BLOB)").await.unwrap();
        }
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&fresh.url).await.unwrap();
            connection.execute("CREATE TABLE users (id UUID)").await.unwrap();
        }
    }
    for failed in [
        store.users.get(UserId::generate()).await.map(drop),
        store.users.insert(&user("ann@example.com"), &hash("x"), None, None).await,
    ] {
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "a column is missing: {failed:?}");
    }
}

/// How many calls there were by summary and `error_type`, without those that never happened.
fn calls(metrics: &Metrics) -> BTreeMap<(String, String), u64> {
    let family = metrics.gather().into_iter().find(|it| it.name() == "db_client_operation_duration_seconds").unwrap();
    let mut calls = BTreeMap::new();
    for series in family.get_metric() {
        let label = |name| series.get_label().iter().find(|it| it.name() == name).unwrap().value().to_owned();
        let count = series.get_histogram().get_sample_count();
        if count > 0 {
            *calls.entry((label("db_query_summary"), label("error_type"))).or_default() += count;
        }
    }
    calls
}

/// How many calls there were by outcome.
fn outcomes(metrics: &Metrics) -> Vec<String> {
    let family = metrics.gather().into_iter().find(|it| it.name() == "glasshouse_db_calls_total").unwrap();
    let outcome = |series: &Metric| format!("{}={}", series.get_label()[0].value(), series.get_counter().get_value());
    family.get_metric().iter().map(outcome).collect()
}

fn observations(metrics: &Metrics, name: &str) -> u64 {
    let family = metrics.gather().into_iter().find(|it| it.name() == name).unwrap();
    family.get_metric()[0].get_histogram().get_sample_count()
}

fn value(metrics: &Metrics, name: &str) -> f64 {
    let family = metrics.gather().into_iter().find(|it| it.name() == name).unwrap();
    let series = &family.get_metric()[0];
    if family.get_field_type() == MetricType::COUNTER {
        series.get_counter().get_value()
    } else {
        series.get_gauge().get_value()
    }
}
