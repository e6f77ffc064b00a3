//! A service, its database, and how that is broken and mended.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    process::{Command, Stdio},
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use url::Url;

use crate::{
    moments,
    pgbouncer::PgBouncer,
    service::Service,
    stack::{Limits, Postgres},
    wire::Wire,
};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Killed,
    Pooled,
    BackendsKilled,
    Paused,
    Restarted,
    Refusing,
    Silent,
    Crowded,
    RoleLimited,
    ReadOnly,
    Locked,
    FailedOver,
    Full,
}

/// Limits that a test can wait for. In between they are as far apart as those of production: one statement, then the
/// wait for a connection, then the request.
const IMPATIENT: [(&str, &str); 5] = [
    // Fewer than there are clients: one that is lost is missed.
    ("GLASSHOUSE_STORE__MAX_CONNECTIONS", "4"),
    ("GLASSHOUSE_STORE__STATEMENT_TIMEOUT", "1s"),
    ("GLASSHOUSE_STORE__ACQUIRE_TIMEOUT", "1s"),
    ("GLASSHOUSE_STORE__PING_TIMEOUT", "500ms"),
    ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "3s"),
];

/// The longest that a request may take with those, on a machine that is busy with other tests.
pub(super) const LONGEST: Duration = Duration::from_secs(6);

/// The role of the service, which may do nothing but what it needs.
const ROLE: &str = "glasshouse";

/// Users whom nobody has asked for, which take much room.
const BALLAST: &str = "\
INSERT INTO users (id, email, email_key, name, role, password_hash, version, created_at, updated_at) \
SELECT gen_random_uuid(), 'ballast-' || n || '@example.com', 'ballast-' || n || '@example.com', repeat('x', 100), \
'user', '$argon2id$' || repeat('x', 200), 1, now(), now() FROM generate_series(1, 50000) AS n";

/// Everything that a fault is about.
pub(super) struct Scene {
    pub(super) service: Service,
    postgres: Postgres,
    standby: Option<Postgres>,
    pub(super) wire: Wire,
    /// By an administrator, without the wire.
    admin: Url,
    database: String,
    /// Who is in the way: connections that hold something.
    others: Vec<PgConnection>,
    _pooler: Option<PgBouncer>,
}

impl Scene {
    /// A service that is ready, on a server of its own.
    pub(super) async fn set(kind: Kind) -> Self {
        // What is acknowledged is in the log of the server, and the log in the kernel's hands: a process that is killed
        // loses neither. `fsync` stays off: no test takes the power away.
        let extra = [
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("max_connections", "30"),
            ("log_error_verbosity", "verbose"),
        ];
        let postgres = tokio::task::spawn_blocking(move || Postgres::start(&extra)).await.unwrap();
        let mut admin: Url = postgres.database().await.parse().unwrap();
        let database = admin.path().trim_start_matches('/').to_owned();
        let mut connection = connect(&admin).await;
        said(&mut connection, &format!("CREATE ROLE {ROLE} LOGIN; ALTER DATABASE {database} OWNER TO {ROLE}")).await;
        said(&mut connection, &format!("GRANT ALL ON SCHEMA public TO {ROLE}; CREATE ROLE crowd LOGIN")).await;
        let mut url = admin.clone();
        url.set_username(ROLE).unwrap();
        admin.set_username("postgres").unwrap();

        let standby = if kind == Kind::FailedOver { Some(follow(&postgres, &mut connection).await) } else { None };
        let pooler = (kind == Kind::Pooled).then(|| PgBouncer::start(url.as_str(), &[]));
        let wire = Wire::to(pooler.as_ref().map_or_else(|| admin.to_string(), PgBouncer::url).as_str()).await;
        let mut settings = IMPATIENT.to_vec();
        if pooler.is_some() {
            settings.extend([("GLASSHOUSE_STORE__POOLER", "true"), ("GLASSHOUSE_STORE__MIGRATE", "false")]);
            migrate(&url);
        }
        let service = Service::start(&wire.url(url.as_str()), &settings, Limits::default()).await;
        Self { service, postgres, standby, wire, admin, database, others: Vec::new(), _pooler: pooler }
    }

    /// The database, as its administrator reaches it.
    pub(super) fn admin(&self) -> &Url {
        &self.admin
    }

    /// Where the database is to be read in the end.
    pub(super) fn database(&self) -> &str {
        self.admin.as_str()
    }

    /// What the server has complained of.
    pub(super) fn complaints(&self) -> String {
        let log = self.postgres.log();
        let errors = log.lines().filter(|line| ["ERROR", "FATAL", "PANIC"].iter().any(|level| line.contains(level)));
        errors.collect::<Vec<_>>().join("\n")
    }

    /// Breaks it.
    pub(super) async fn strike(&mut self, kind: Kind) {
        let database = self.database.clone();
        match kind {
            Kind::Killed | Kind::Pooled | Kind::FailedOver => self.postgres.kill(),
            Kind::BackendsKilled => {
                let mut connection = connect(&self.admin).await;
                let backends = format!("SELECT pid::text FROM pg_stat_activity WHERE usename = '{ROLE}'");
                let rows = connection.fetch_all(sqlx::AssertSqlSafe(backends)).await.unwrap();
                let pids: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, 0)).collect();
                // What one of them leaves in shared memory nobody trusts: at the first, the server ends all others.
                Command::new("kill").arg("-KILL").args(&pids).stderr(Stdio::null()).status().unwrap();
            }
            Kind::Paused => self.postgres.signal("STOP"),
            Kind::Restarted => self.postgres.stop(),
            Kind::Refusing => {
                self.elsewhere(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await;
                self.end_connections().await;
            }
            Kind::Silent => self.wire.fall_silent(true),
            Kind::Crowded => self.crowd().await,
            Kind::RoleLimited => {
                self.elsewhere(&format!("ALTER ROLE {ROLE} CONNECTION LIMIT 0")).await;
                self.end_connections().await;
            }
            Kind::ReadOnly => {
                self.elsewhere(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on")).await;
                self.end_connections().await;
            }
            Kind::Locked => {
                let mut connection = connect(&self.admin).await;
                said(&mut connection, "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await;
                self.others.push(connection);
            }
            Kind::Full => self.fill().await,
        }
    }

    /// Mends it, and says when the database could serve again.
    pub(super) async fn mend(&mut self, kind: Kind) {
        let database = self.database.clone();
        match kind {
            Kind::Killed | Kind::Pooled | Kind::Restarted => self.postgres.start_again(),
            Kind::BackendsKilled => {}
            Kind::Paused => self.postgres.signal("CONT"),
            Kind::Refusing => self.elsewhere(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await,
            Kind::Silent => self.wire.fall_silent(false),
            Kind::Crowded | Kind::Locked => self.others.clear(),
            Kind::RoleLimited => self.elsewhere(&format!("ALTER ROLE {ROLE} CONNECTION LIMIT -1")).await,
            // Connections that began before stay as they are: the service has to leave them by itself.
            Kind::ReadOnly => {
                self.elsewhere(&format!("ALTER DATABASE {database} RESET default_transaction_read_only")).await;
            }
            Kind::FailedOver => {
                let standby = self.standby.take().expect("it was made for this");
                let mut url = standby.url().clone();
                let mut connection = connect(&url).await;
                said(&mut connection, "SELECT pg_promote()").await;
                url.set_path(&database);
                self.wire.lead(url.as_str());
                (self.postgres, self.admin) = (standby, url);
            }
            Kind::Full => {
                self.limit_files("unlimited");
                said(&mut connect(&self.admin).await, "DELETE FROM users WHERE email LIKE 'ballast-%'").await;
            }
        }
    }

    /// Says something to the server from outside of the database.
    async fn elsewhere(&self, what: &str) {
        let mut connection = connect(self.postgres.url()).await;
        said(&mut connection, what).await;
    }

    /// Ends what the service has open.
    async fn end_connections(&self) {
        self.elsewhere(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"))
            .await;
    }

    /// Takes every connection that the server has, those of the service too.
    async fn crowd(&mut self) {
        let mut calm = 0;
        while calm < 20 {
            self.end_connections().await;
            let options = PgConnectOptions::from_url(self.postgres.url()).unwrap();
            // Superusers have a few places for themselves; those stay free for the one who mends it.
            match options.username("crowd").connect().await {
                Ok(connection) => {
                    self.others.push(connection);
                    calm = 0;
                }
                Err(_) => calm += 1,
            }
        }
    }

    /// Makes the table of users larger than any other file of the server, and lets no file become larger still. What
    /// then fails is the half of a page that is too much, which to PostgreSQL is what a full disk looks like.
    async fn fill(&self) {
        let mut connection = connect(&self.admin).await;
        said(&mut connection, BALLAST).await;
        // What room is left in the pages that are there is for changes; whoever is new wants a page of his own.
        said(&mut connection, "ALTER TABLE users SET (fillfactor = 10)").await;
        // Nobody adds a page between the measuring and the limit.
        said(&mut connection, "BEGIN; LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE").await;
        let size = connection.fetch_one("SELECT pg_relation_size('users')").await.unwrap();
        let size: i64 = sqlx::Row::get(&size, 0);
        assert!(size > 17 << 20, "larger than a segment of the log, which must stay writable: {size}");
        self.limit_files(&(size + 4096).to_string());
        said(&mut connection, "COMMIT").await;
    }

    /// For every process of the server, also for those that come.
    fn limit_files(&self, size: &str) {
        for process in self.postgres.processes() {
            let Ok(owner) = fs::metadata(format!("/proc/{process}")) else { continue };
            let mut limit = Command::new("prlimit");
            limit.args(["--pid", &process, &format!("--fsize={size}:")]).uid(owner.uid()).gid(owner.gid());
            let is_limited = limit.stderr(Stdio::null()).status().unwrap().success();
            assert!(
                is_limited || !fs::exists(format!("/proc/{process}")).unwrap(),
                "a process of the server is limited"
            );
        }
    }
}

/// As an operator does it where a pooler is in the service's way.
fn migrate(url: &Url) {
    let folder = tempfile::tempdir().unwrap();
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_glasshouse"));
    migrate.args(["migrate", "up"]).current_dir(&folder).env_clear().env("DATABASE_URL", url.as_str());
    let output = migrate.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A standby without which the first server acknowledges nothing.
async fn follow(postgres: &Postgres, connection: &mut PgConnection) -> Postgres {
    let standby = tokio::task::block_in_place(|| {
        postgres.standby(&[("synchronous_commit", "on"), ("full_page_writes", "on"), ("max_connections", "30")])
    });
    for what in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
        said(connection, what).await;
    }
    let follows = async || {
        let state = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        connection.fetch_optional(state).await.unwrap().map(drop)
    };
    moments::within(Duration::from_secs(30), "the standby follows", follows).await;
    standby
}

pub(super) async fn connect(url: &Url) -> PgConnection {
    PgConnection::connect(url.as_str()).await.unwrap()
}

pub(super) async fn said(connection: &mut PgConnection, what: &str) {
    connection.execute(sqlx::AssertSqlSafe(what.to_owned())).await.unwrap_or_else(|error| panic!("{what}: {error}"));
}
