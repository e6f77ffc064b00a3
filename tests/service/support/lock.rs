//! Somebody else at the database, who has what every write needs: how a test makes a statement wait.

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use super::Service;

/// Writes wait until it is dropped or told to go; reads do not.
pub(crate) enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    /// In the way of everybody who writes to that database.
    pub(crate) async fn at(url: &str) -> Self {
        if url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            connection.execute("BEGIN IMMEDIATE").await.unwrap();
            Self::Sqlite(connection)
        } else {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute("BEGIN; LOCK TABLE users, sessions IN EXCLUSIVE MODE").await.unwrap();
            Self::Postgres(connection)
        }
    }

    /// Lets everybody write.
    pub(crate) async fn go(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

impl Service {
    /// Runs SQL on its database, beside the service.
    pub(crate) async fn execute(&self, sql: &'static str) {
        let url = self.store.url.as_str();
        if url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            connection.execute(sql).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute(sql).await.unwrap();
            connection.close().await.unwrap();
        }
    }

    /// In the way of its writes.
    pub(crate) async fn lock(&self) -> Lock {
        Lock::at(self.store.url.as_str()).await
    }

    /// How many statements of services PostgreSQL itself is working on, in this service's database.
    pub(crate) async fn at_work(&self) -> i64 {
        at_work(self.store.url.as_str()).await
    }

    /// How many connections are in use.
    pub(crate) async fn connections_used(&self) -> f64 {
        let system = if self.store.url.scheme() == "sqlite" { "sqlite" } else { "postgresql" };
        let labels = format!("db_client_connection_pool_name=\"{system}\",db_client_connection_state=\"used\"");
        self.metric(&format!("db_client_connections{{{labels}}}")).await.unwrap()
    }
}

/// The same, asked at the server itself.
pub(crate) async fn at_work(url: &str) -> i64 {
    let ask = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND pid <> pg_backend_pid() AND state IN ('active', 'idle in transaction') \
               AND application_name = 'glasshouse'";
    let mut connection = PgConnection::connect(url).await.unwrap();
    let count = sqlx::Row::get(&connection.fetch_one(ask).await.unwrap(), 0);
    connection.close().await.unwrap();
    count
}
