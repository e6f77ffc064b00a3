//! Settings of a PostgreSQL server, database or role that would change what statements do: connections override them.

use glasshouse::{
    domain::users::{Filter, Role},
    faults::Switchboard,
    store::Store,
    telemetry::{Metrics, Tracer},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::support::{On, Opened, config, hash, session};

/// Runs `ALTER DATABASE … SET`, which applies to new connections.
async fn set(connection: &mut PgConnection, setting: &str) {
    let database: String = connection.fetch_one("SELECT current_database()").await.unwrap().get(0);
    connection.execute(AssertSqlSafe(format!("ALTER DATABASE {database} SET {setting}"))).await.unwrap();
}

/// Lets the connections of the store end, so that its next calls open new ones.
async fn reconnect(store: &Opened, control: &mut PgConnection) {
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    control.execute(end).await.unwrap();
    store.ping().await.unwrap();
}

/// Under `serializable`, a statement that waited for a concurrent write of the same row fails with 40001.
#[tokio::test]
async fn statements_run_with_read_committed_whatever_the_database_has_as_default() {
    for pooler in [false, true] {
        let store = On::Postgres.open().await;
        let mut control = PgConnection::connect(&store.fresh.url).await.unwrap();
        set(&mut control, "default_transaction_isolation = 'serializable'").await;
        let mut config = config(&store.fresh.url);
        config.pooler = pooler;
        let other = Store::open(&config, Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
        let ann = store.with_user("ann@example.com").await;

        control.execute("BEGIN; UPDATE users SET name = 'Bob'").await.unwrap();
        let ann_session = session(ann.id);
        let shown = hash("first");
        let started = other.sessions.start(&ann_session, &shown, 100);
        let commit = async {
            let waiting = "SELECT count(*) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while control.fetch_one(waiting).await.unwrap().get::<i64, _>(0) == 0 {
                control.execute("SELECT pg_sleep(0.01)").await.unwrap();
                control.execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
            }
            control.execute("COMMIT").await.unwrap();
        };
        let (started, ()) = tokio::join!(started, commit);
        started.unwrap_or_else(|error| panic!("pooler {pooler}: {error:?}"));
    }
}

/// A generic plan finds the few admins by reading every user in the order of ids.
#[tokio::test]
async fn statements_are_planned_for_their_values_whatever_the_database_has_as_default() {
    const ROWS_READ: &str = "SELECT (coalesce(idx_tup_fetch, 0) + seq_tup_read)::bigint FROM pg_stat_user_tables \
                             WHERE relname = 'users'";
    let store = On::Postgres.open().await;
    let mut control = PgConnection::connect(&store.fresh.url).await.unwrap();
    let load = "INSERT INTO users \
                SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'user' || i || '@example.com', \
                'user' || i || '@example.com', 'User', CASE WHEN i % 1000 = 0 THEN 'admin' ELSE 'user' END, \
                repeat('h', 97), 1, now(), now() FROM generate_series(1, 20000) AS i; ANALYZE users";
    control.execute(load).await.unwrap();
    set(&mut control, "plan_cache_mode = 'force_generic_plan'").await;
    reconnect(&store, &mut control).await;
    control.close().await.unwrap();

    let rows_read = async || -> i64 {
        let mut control = PgConnection::connect(&store.fresh.url).await.unwrap();
        control.fetch_one(ROWS_READ).await.unwrap().get(0)
    };
    let before = rows_read().await;
    let filter = Filter { role: Some(Role::Admin), email_prefix: None };
    let admins = store.users.list(&filter, None, 10).await.unwrap();
    assert_eq!(admins.len(), 10);
    // A connection reports what it has read when it ends.
    store.close().await;
    let read = rows_read().await - before;
    assert!((10..1000).contains(&read), "{read} rows were read for 10");
}
