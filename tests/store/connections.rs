//! Connections that are of no use any more: what is tried again on another one, and what never is.

use std::time::Duration;

use futures_util::future::join_all;
use glasshouse::{
    domain::{
        auth::Rotation,
        users::{StoreError, UserId},
    },
    faults::Switchboard,
    store::Store,
    telemetry::{Metrics, Tracer},
};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{On, Opened, config, hash, now};

#[tokio::test]
async fn a_read_survives_that_the_server_ends_every_connection() {
    let store = On::Postgres.open_with(|config| config.max_connections = 3).await;
    let ann = store.with_user("ann@example.com").await;
    join_all((0..3).map(|_| store.users.get(ann.id))).await;
    end_connections(&store).await;
    assert_eq!(store.users.get(ann.id).await.unwrap(), Some(ann.clone()));
    end_connections(&store).await;
    store.users.set_password(ann.id, &hash("first"), &hash("second"), None, None).await.unwrap();
}

#[tokio::test]
async fn connection_to_ipv6_literal_reaches_server() {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.expect("a machine with ::1");
    let mut config = config(&format!("postgres://ann:secret@[::1]:{}/users", listener.local_addr().unwrap().port()));
    config.acquire_timeout = Duration::from_mins(1);
    let store = Store::open(&config, Tracer::off(), Switchboard::off(), &Metrics::new(1000)).await.unwrap();
    tokio::select! {
        accepted = listener.accept() => drop(accepted.unwrap()),
        answered = store.ping() => panic!("no connection was made: {answered:?}"),
    }
}

/// What was prepared before a migration is refused after it, on every connection that was open.
#[tokio::test]
async fn a_read_survives_that_a_column_has_another_type() {
    let store = On::Postgres.open_with(|config| config.max_connections = 3).await;
    let ann = store.with_user("ann@example.com").await;
    join_all((0..3).map(|_| store.users.get(ann.id))).await;
    let mut connection = PgConnection::connect(&store.fresh.url).await.unwrap();
    connection.execute("ALTER TABLE users ALTER COLUMN name TYPE varchar(500)").await.unwrap();
    assert_eq!(store.users.get(ann.id).await.unwrap(), Some(ann));
}

/// As after a proxy or the server has ended idle connections: what was closed before anything was sent took nothing.
#[tokio::test]
async fn write_on_connection_that_was_closed_while_idle_uses_another() {
    let store = On::Postgres.open_with(|config| config.max_connections = 2).await;
    let ann = store.with_user("ann@example.com").await;
    join_all((0..2).map(|_| store.users.get(ann.id))).await;
    end_connections(&store).await;
    let session = store.with_session(&ann).await;
    join_all((0..2).map(|_| store.users.get(ann.id))).await;
    end_connections(&store).await;
    // A write that returns rows.
    let rotation = store.sessions.rotate(&crate::sessions::exchange(&session), now()).await.unwrap();
    assert_eq!(rotation, Rotation::Rotated(session.id, ann.id));
    join_all((0..2).map(|_| store.users.get(ann.id))).await;
    end_connections(&store).await;
    store.sessions.end(session.id).await.unwrap();
    end_connections(&store).await;
    store.users.remove(&ann, None, None).await.unwrap();
    assert_eq!(store.users.get(ann.id).await.unwrap(), None);
}

#[tokio::test]
async fn retries_are_counted_and_have_a_budget_that_no_outage_can_overdraw() {
    // Who hangs up at once is a connection that is dead from the beginning.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(&format!("postgres://ann@{}/users", listener.local_addr().unwrap()));
    config.acquire_timeout = Duration::from_secs(10);
    let metrics = Metrics::new(1000);
    let store = Store::open(&config, Tracer::off(), Switchboard::off(), &metrics).await.unwrap();
    let hangs_up = async {
        while let Ok(connection) = listener.accept().await {
            drop(connection);
        }
    };
    let calls = async {
        for _ in 0..100 {
            let failed = store.users.get(UserId::generate()).await.unwrap_err();
            assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
        }
    };
    tokio::select! {
        () = hangs_up => {}
        () = calls => {}
    }
    let retries = |outcome: &str| {
        let family = metrics.gather().into_iter().find(|it| it.name() == "glasshouse_store_retries_total").unwrap();
        let series = family.get_metric().iter().find(|series| series.get_label()[0].value() == outcome).unwrap();
        series.get_counter().get_value()
    };
    // Twenty at first, and one more for each ten calls.
    assert!((29.0..=30.0).contains(&retries("tried")), "{}", retries("tried"));
    assert!(retries("over_budget") > 60.0, "{}", retries("over_budget"));
}

/// Ends every connection to the store's database but its own.
async fn end_connections(store: &Opened) {
    let mut connection = PgConnection::connect(&store.fresh.url).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    connection.execute(end).await.unwrap();
    // No connection that a call could find was used a moment ago.
    connection.execute("SELECT pg_sleep(0.2)").await.unwrap();
}
