//! Readiness as a load balancer sees it: not ready, with the reason for the operator, while requests would fail.

use std::{fs, os::unix::fs::FileExt};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::support::{Engine, Postgres, Service, eventually, on_both_stores};

/// Migrations are the operator's, and clients are not limited.
const NO_MIGRATIONS: (&str, &str) = ("GLASSHOUSE_STORE__MIGRATE", "false");

/// The folder and the URL of a new database; the file is in the folder.
async fn database(engine: Engine) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let url = match engine {
        Engine::Sqlite => format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display()),
        Engine::Postgres => Postgres::get().database().await,
    };
    (folder, url)
}

/// Waits until the public port answers 503 and the internal port names this reason.
async fn until_not_ready(service: &Service, reason: &str) {
    eventually(&format!("the service is not ready: {reason}"), async || {
        let public = service.client().get("/health/ready").await.status;
        let internal = service.internal("/health/ready?verbose").await.json::<Value>().await.unwrap();
        (public == 503 && internal["store"].as_str()?.contains(reason)).then_some(())
    })
    .await;
}

on_both_stores! {
    async fn readiness_is_503_while_no_migration_was_applied(engine) {
        let (folder, url) = database(engine).await;
        let service = Service::started_on(folder, &url, &[NO_MIGRATIONS]);
        until_not_ready(&service, "glasshouse migrate up").await;
    }
}

on_both_stores! {
    /// The service starts on the whole schema and loses a table.
    async fn readiness_is_503_while_a_table_is_missing(engine) {
        let (folder, url) = database(engine).await;
        let service = Service::start_on(folder, &url, &[]).await;
        for statement in ["ALTER TABLE sessions RENAME TO gone", "ALTER TABLE gone RENAME TO sessions"] {
            match engine {
                Engine::Sqlite => {
                    SqliteConnection::connect(&url).await.unwrap().execute(statement).await.map(drop).unwrap();
                }
                Engine::Postgres => {
                    PgConnection::connect(&url).await.unwrap().execute(statement).await.map(drop).unwrap();
                }
            }
            if statement.ends_with("gone") {
                until_not_ready(&service, "the schema is incomplete").await;
            }
        }
        eventually("the service is ready", async || {
            (service.client().get("/health/ready").await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_database_file_makes_the_service_not_ready_and_is_logged_once() {
    let (folder, url) = database(Engine::Sqlite).await;
    let file = folder.path().join("users.db");
    let service = Service::start_on(folder, &url, &[]).await;
    service.client().joined("ann@example.com").await;
    fs::remove_file(&file).unwrap();
    until_not_ready(&service, "was removed while it was open").await;
    // Further calls and checks fail for the same reason.
    for _ in 0..3 {
        service.client().register("bob@example.com").await;
    }
    let lines = eventually("the loss is logged", async || {
        let lines = service.lines().into_iter().filter(|line| line["message"] == "database file lost");
        Some(lines.map(|line| line["level"].clone()).collect::<Vec<_>>()).filter(|lines| !lines.is_empty())
    });
    assert_eq!(lines.await, ["ERROR"]);
}

on_both_stores! {
    /// SQLite opens a file of a later write version only to read it.
    async fn write_on_read_only_database_returns_503(engine) {
        const WRITE_VERSION_OFFSET: u64 = 18;
        let (folder, url) = database(engine).await;
        let file = folder.path().join("users.db");
        // Each call opens a connection, as after a restart.
        let service = Service::start_on(folder, &url, &[("GLASSHOUSE_STORE__MAX_LIFETIME", "1s")]).await;
        match engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
                let opened = fs::OpenOptions::new().write(true).open(&file).unwrap();
                opened.write_all_at(&[3], WRITE_VERSION_OFFSET).unwrap();
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let database = url.rsplit_once('/').unwrap().1;
                let read_only = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
                connection.execute(AssertSqlSafe(read_only)).await.unwrap();
            }
        }
        let reply = eventually("the database is read-only", async || {
            let email = format!("{}@example.com", uuid::Uuid::new_v4());
            Some(service.client().register(&email).await).filter(|reply| reply.status != 201)
        })
        .await;
        assert_eq!((reply.status.as_u16(), reply.code()), (503, "store_unavailable"), "{reply:?}");
    }
}
