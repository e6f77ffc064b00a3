//! Up, down and up again; and many at once.

use glasshouse::{
    faults::Switchboard,
    store::{MigrateError, Store},
    telemetry::{Metrics, Tracer},
};

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::support::{Engine, On, config, now};

crate::on_both! {
    migrations_go_up_and_down_and_up,
    a_step_and_its_way_back_touch_nothing_else,
    eight_that_start_at_once_do_not_collide,
    a_store_opens_before_its_database_has_a_schema,
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
    assert_eq!(store.sessions.recognise(session.id, now()).await.unwrap(), Some(ann));
}

async fn eight_that_start_at_once_do_not_collide(on: On) {
    let fresh = on.fresh().await;
    let starts = (0..8).map(|_| {
        let config = config(&fresh.url);
        tokio::task::Builder::new().spawn(async move {
            let store = Store::open(&config, Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
            store.migrate_up().await.unwrap();
            store.ping().await.unwrap();
        })
    });
    for start in starts.collect::<Vec<_>>() {
        start.unwrap().await.unwrap();
    }
}

async fn a_store_opens_before_its_database_has_a_schema(on: On) {
    let fresh = on.fresh().await;
    let store = Store::open(&config(&fresh.url), Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
    store.ping().await.unwrap();
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
