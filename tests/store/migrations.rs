//! Up, down and up again; and many at once.

use glasshouse::{
    faults::Switchboard,
    store::{MigrateError, Store},
    telemetry::{Metrics, Tracer},
};

use sqlx::{Connection, Executor, PgConnection, Row, SqliteConnection};

use crate::support::{Engine, On, config, now};

crate::on_both! {
    migrations_go_up_and_down_and_up,
    a_step_and_its_way_back_touch_nothing_else,
    eight_that_start_at_once_do_not_collide,
    a_store_opens_before_its_database_has_a_schema,
    migrate_status_writes_nothing,
    migrate_up_on_complete_schema_takes_no_lock,
    the_program_before_runs_on_the_schema_of_the_one_after,
}

async fn migrations_go_up_and_down_and_up(on: On) {
    let store = on.open().await;
    let migrations = store.migrations().await.unwrap();
    assert!(!migrations.is_empty() && migrations.iter().all(|migration| migration.applied), "{migrations:?}");
    for _ in &migrations {
        store.migrate_down().await.unwrap();
    }
    assert!(store.migrations().await.unwrap().iter().all(|migration| !migration.applied));
    store.migrate_down().await.unwrap();
    store.migrate_up().await.unwrap();
    store.migrate_up().await.unwrap();
    assert_eq!(store.migrations().await.unwrap(), migrations);
    store.with_user("ann@example.com").await;
}

/// What was there before the steps that came after the first is there after they were taken back and applied again.
async fn a_step_and_its_way_back_touch_nothing_else(on: On) {
    let store = on.open().await;
    let ann = store.with_user("ann@example.com").await;
    let session = store.with_session(&ann).await;
    for _ in 1..store.migrations().await.unwrap().len() {
        store.migrate_down().await.unwrap();
        // As the program before does, to which the step means nothing.
        assert_eq!(store.users.get(ann.id).await.unwrap().as_ref(), Some(&ann));
        store.with_session(&ann).await;
    }
    store.migrate_up().await.unwrap();
    assert_eq!(store.sessions.recognise(session.id, now()).await.unwrap(), Some((ann, now())));
}

async fn eight_that_start_at_once_do_not_collide(on: On) {
    let fresh = on.fresh().await;
    let starts = (0..8).map(|_| {
        let config = config(&fresh.url);
        tokio::task::Builder::new().spawn(async move {
            let store = Store::open(&config, Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
            while let Err(error) = store.migrate_up().await {
                assert!(error.is_unavailable(), "{error:?}");
            }
            store.ping().await.unwrap();
        })
    });
    for start in starts.collect::<Vec<_>>() {
        start.unwrap().await.unwrap();
    }
}

async fn migrate_status_writes_nothing(on: On) {
    let fresh = on.fresh().await;
    let store = Store::open(&config(&fresh.url), Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
    assert!(store.migrations().await.unwrap().iter().all(|migration| !migration.applied));
    match on.engine() {
        Engine::Sqlite => {
            let path = fresh.url.trim_start_matches("sqlite://").trim_end_matches("?mode=rwc");
            let folder = std::path::Path::new(path).parent().unwrap();
            assert!(!folder.exists(), "not even the folder is created");
        }
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&fresh.url).await.unwrap();
            let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
            assert_eq!(connection.fetch_one(tables).await.unwrap().get::<i64, _>(0), 0);
        }
    }
}

/// With the lock of a migration held by another process.
async fn migrate_up_on_complete_schema_takes_no_lock(on: On) {
    let store = on.open().await;
    match on.engine() {
        Engine::Sqlite => {
            let mut other = SqliteConnection::connect(&store.fresh.url).await.unwrap();
            other.execute("BEGIN IMMEDIATE").await.unwrap();
            store.migrate_up().await.unwrap();
            assert!(store.migrations().await.unwrap().iter().all(|migration| migration.applied));
        }
        Engine::Postgres => {
            let mut other = PgConnection::connect(&store.fresh.url).await.unwrap();
            sqlx::migrate::Migrate::lock(&mut other).await.unwrap();
            store.migrate_up().await.unwrap();
            assert!(store.migrations().await.unwrap().iter().all(|migration| migration.applied));
        }
    }
}

#[tokio::test]
async fn migrate_up_gives_up_waiting_for_lock_and_can_be_retried() {
    let fresh = On::Postgres.fresh().await;
    let store = Store::open(&config(&fresh.url), Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
    let mut other = PgConnection::connect(&fresh.url).await.unwrap();
    sqlx::migrate::Migrate::lock(&mut other).await.unwrap();
    let error = store.migrate_up().await.unwrap_err();
    assert!(matches!(error, MigrateError::NoAnswer(..)) && error.is_unavailable(), "{error:?}");
    assert!(error.to_string().contains("the lock of another instance"), "{error}");
    other.close().await.unwrap();
    store.migrate_up().await.unwrap();
}

/// As after a crash while an index was built.
#[tokio::test]
async fn migrate_up_replaces_the_invalid_index_of_an_interrupted_migration() {
    let store = On::Postgres.open().await;
    let migrations = store.migrations().await.unwrap();
    while store.migrations().await.unwrap().iter().any(|it| it.applied && it.version >= 6) {
        store.migrate_down().await.unwrap();
    }
    store.with_user("ann@example.com").await;
    store.with_user("bob@example.com").await;
    let mut connection = PgConnection::connect(&store.fresh.url).await.unwrap();
    for name in ["users_role_email_key", "index_of_the_operator"] {
        let unique = format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON users (role)");
        connection.execute(sqlx::AssertSqlSafe(unique)).await.unwrap_err();
    }
    store.migrate_up().await.unwrap();
    assert_eq!(store.migrations().await.unwrap(), migrations);
    let invalid = "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid";
    let invalid = connection.fetch_all(invalid).await.unwrap();
    let invalid: Vec<String> = invalid.iter().map(|row| row.get(0)).collect();
    assert_eq!(invalid, ["index_of_the_operator"]);
}

#[tokio::test]
async fn role_without_create_uses_migrated_schema_and_is_told_what_to_grant_otherwise() {
    let store = On::Postgres.open().await;
    let role = format!("dml_{}", std::process::id());
    let mut root = PgConnection::connect(&store.fresh.url).await.unwrap();
    let make = format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    );
    root.execute(sqlx::AssertSqlSafe(make)).await.unwrap();
    let mut url: url::Url = store.fresh.url.parse().unwrap();
    url.set_username(&role).unwrap();
    let metrics = Metrics::new(1000);
    let limited = Store::open(&config(url.as_str()), Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
    limited.migrate_up().await.unwrap();
    assert!(limited.migrations().await.unwrap().iter().all(|migration| migration.applied));

    for _ in store.migrations().await.unwrap() {
        store.migrate_down().await.unwrap();
    }
    let denied = limited.migrate_up().await.unwrap_err();
    assert!(!denied.is_unavailable(), "it is retried slowly");
    let grants =
        [format!("GRANT SELECT ON _sqlx_migrations TO {role}"), format!("GRANT CREATE ON SCHEMA public TO {role}")];
    assert!(grants.iter().all(|grant| denied.to_string().contains(grant)), "{denied}");
    root.execute(sqlx::AssertSqlSafe(format!("DROP TABLE _sqlx_migrations; GRANT CREATE ON SCHEMA public TO {role}")))
        .await
        .unwrap();
    limited.migrate_up().await.unwrap();
    limited.close().await;
    root.execute(sqlx::AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}"))).await.unwrap();
}

async fn a_store_opens_before_its_database_has_a_schema(on: On) {
    let fresh = on.fresh().await;
    let store = Store::open(&config(&fresh.url), Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
    if on.engine() == Engine::Postgres {
        store.ping().await.unwrap();
    }
    assert!(store.migrations().await.unwrap().iter().all(|migration| !migration.applied));
}

async fn the_program_before_runs_on_the_schema_of_the_one_after(on: On) {
    let store = on.open().await;
    let note = async |statement: &'static str| match on.engine() {
        Engine::Sqlite => {
            SqliteConnection::connect(&store.fresh.url).await.unwrap().execute(statement).await.unwrap();
        }
        Engine::Postgres => {
            PgConnection::connect(&store.fresh.url).await.unwrap().execute(statement).await.unwrap();
        }
    };
    let known = store.migrations().await.unwrap();
    note(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', TRUE, 'x', 1)",
    )
    .await;
    store.migrate_up().await.unwrap();
    store.with_user("ann@example.com").await;
    let migrations = store.migrations().await.unwrap();
    assert_eq!(migrations[..known.len()], known);
    assert!(matches!(&migrations[known.len()..], [ahead] if ahead.version == 9999 && ahead.applied));
    let refused = store.migrate_down().await;
    assert!(matches!(refused, Err(MigrateError::Unknown(9999))), "{refused:?}");

    note("UPDATE _sqlx_migrations SET version = 0 WHERE version = 9999").await;
    let refused = store.migrate_up().await;
    assert!(matches!(refused, Err(MigrateError::Unknown(0))), "{refused:?}");
}
