//! What is done to the stack, and undone: really where it can be had, by the service's own switchboard of faults where not.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::{
    stack::{STARTING, within},
    stage::Stage,
};

/// One thing that goes wrong, from [`Cause::begin`] to [`Cause::end`].
#[derive(Debug, PartialEq)]
pub(crate) enum Cause {
    /// `PUT /debug/faults` with that list.
    Injected(&'static str),
    /// So many workers blocked for a moment, free for a moment, and so on: late, and never stuck for long.
    Interrupted { workers: u32 },
    /// Tasks that never end, begun faster the faster the clock goes.
    LeakedTasks,
    /// So much memory in the four hours that the alert looks ahead, on this clock, that the limit is passed.
    LeakedMemory { limit_mib: u32 },
    /// PostgreSQL is stopped.
    StoppedDatabase,
    /// Somebody has the table of users to himself: PostgreSQL answers, and no statement of ours ends in time.
    LockedTable,
    /// The service is killed and started again, so many times.
    Crashes(u32),
    /// The service is killed.
    StoppedService,
    /// Prometheus is told of no service.
    NoTarget,
    /// Nobody calls any more.
    EndedLoad,
    /// Nobody reads what the service writes to stdout.
    UnreadLog,
    /// The service is started again with room for hardly any series.
    TinySeriesLimit,
    /// A rule that cannot be evaluated on the data there is.
    FailingRule,
    /// Prometheus is killed.
    StoppedPrometheus,
    /// The wire to the collector is cut.
    GoneCollector,
    /// So many requests a second more, of somebody who reads: no fault, but what faults are seldom among.
    Readers { per_second: u32 },
    /// So many read their account once a second, all at once, and none waits for the answers of the others.
    Crowd(u32),
    /// Somebody guesses the password of an account.
    WrongPasswords,
    /// Somebody shows tokens whose signature is not ours.
    ForeignTokens,
    /// So many connections on which nothing is asked.
    IdleConnections(usize),
    /// The soft limit of open files is lowered while the service runs. At its start the service lowers the number of
    /// connections until they fit into the limit.
    OpenFilesLimit(u32),
}

/// Longer than the alert puts up with, and shorter than what is called a stall.
const MOMENT: Duration = Duration::from_millis(400);

/// Half of all pairs of series match several others: Prometheus refuses to join them.
const FAILING_RULE: &str = "
groups:
  - name: planted
    rules:
      - record: planted:nothing:sum
        expr: db_client_connections * on (job) tokio_runtime_alive_tasks
";

/// What makes a rate of that many events in five minutes of production, on this clock, and half as many again.
fn per_second(stage: &Stage, events: f64) -> f64 {
    1.5 * events * stage.scale.factor / 300.0
}

impl Cause {
    /// Does it.
    pub(crate) async fn begin(&self, stage: &mut Stage) {
        match self {
            Self::Injected(faults) => stage.inject(serde_json::from_str(faults).unwrap()).await,
            Self::Interrupted { workers } => {
                let switchboard = stage.stack.http.put(stage.switchboard());
                let blocked =
                    switchboard.try_clone().unwrap().json(&json!([{"fault": "blocked_worker", "workers": workers}]));
                stage.alternate(MOMENT, blocked, switchboard.json(&json!([])));
            }
            Self::LeakedTasks => {
                // Two hundred more within eight of production's minutes.
                let per_second = stage.scale.duration(Duration::from_mins(8)).as_secs().max(1);
                let per_second = (200 / per_second).clamp(1, 1000);
                stage.inject(json!([{"fault": "task_leak", "per_second": per_second}])).await;
            }
            Self::LeakedMemory { limit_mib } => {
                let kib = f64::from(*limit_mib) * 1024.0 * 1.2 * stage.scale.factor / (4.0 * 3600.0);
                stage.inject(json!([{"fault": "memory_leak", "per_second": format!("{kib:.0}KiB")}])).await;
            }
            Self::StoppedDatabase => stage.database().stop(),
            Self::LockedTable => {
                let url = stage.stack.glasshouse.setting("DATABASE_URL").expect("it is given one");
                let mut connection = PgConnection::connect(url).await.unwrap();
                connection.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
                stage.spawn(async move {
                    let _locked = connection;
                    std::future::pending::<()>().await;
                });
            }
            Self::Crashes(times) => {
                for time in 1..=*times {
                    stage.stack.glasshouse.kill();
                    stage.stack.glasshouse.start_again().await;
                    let seen = format!("changes(process_start_time_seconds{{job=\"glasshouse\"}}[1d]) >= {time}");
                    within(STARTING, async || stage.stack.prometheus.found(&seen).await).await;
                }
            }
            Self::StoppedService => stage.stack.glasshouse.kill(),
            Self::NoTarget => stage.stack.prometheus.target(None),
            Self::EndedLoad => stage.load = None,
            Self::UnreadLog => stage.stack.glasshouse.process().hold_output(true),
            Self::TinySeriesLimit => stage.restart_with("GLASSHOUSE_TELEMETRY__MAX_SERIES", "10").await,
            Self::FailingRule => {
                stage.stack.prometheus.write_rules("planted.yml", FAILING_RULE);
                stage.stack.prometheus.reload().await;
            }
            Self::StoppedPrometheus => stage.stack.prometheus.kill(),
            Self::GoneCollector => stage.wire().cut(),
            Self::Readers { per_second } => {
                let token = stage.token().await;
                let request = stage.stack.http.get(stage.url("/api/v1/users/me")).bearer_auth(token);
                stage.repeat(f64::from(*per_second), request);
            }
            Self::Crowd(readers) => {
                let token = stage.token().await;
                let request = stage.stack.http.get(stage.url("/api/v1/users/me")).bearer_auth(token);
                // Not all at once: between two bursts there would be nobody.
                for reader in 0..*readers {
                    let delay = Duration::from_secs(1) * reader / *readers;
                    stage.repeat_from(delay, 1.0, request.try_clone().unwrap());
                }
            }
            Self::WrongPasswords => {
                let email = stage.joined().await;
                let body = json!({"email": email, "password": "not the one that was chosen"});
                let request = stage.stack.http.post(stage.url("/api/v1/auth/sign-in")).json(&body);
                let rate = per_second(stage, 50.0);
                stage.repeat(rate, request);
            }
            Self::ForeignTokens => {
                let token = stage.token().await;
                let (signed, signature) = token.rsplit_once('.').unwrap();
                let other: String = signature.chars().rev().collect();
                let request =
                    stage.stack.http.get(stage.url("/api/v1/users/me")).bearer_auth(format!("{signed}.{other}"));
                let rate = per_second(stage, 50.0);
                stage.repeat(rate, request);
            }
            Self::OpenFilesLimit(limit) => stage.stack.glasshouse.process().limit_open_files(Some(*limit)),
            Self::IdleConnections(count) => {
                let address = stage.stack.glasshouse.public;
                for _ in 0..*count {
                    stage.spawn(async move {
                        loop {
                            // Whoever keeps a connection for long without a word is sent away, and comes again.
                            let Ok(mut connection) = TcpStream::connect(address).await else { return };
                            connection.read_u8().await.ok();
                        }
                    });
                }
            }
        }
    }

    /// Undoes it.
    pub(crate) async fn end(&self, stage: &mut Stage) {
        match self {
            Self::Injected(_) | Self::LeakedTasks | Self::LeakedMemory { .. } => stage.inject(json!([])).await,
            Self::StoppedDatabase => stage.database().start_again(),
            Self::Crashes(_) => {}
            Self::StoppedService => stage.stack.glasshouse.start_again().await,
            Self::NoTarget => stage.stack.prometheus.target(Some(stage.stack.glasshouse.internal)),
            Self::EndedLoad => stage.load().await,
            Self::UnreadLog => stage.stack.glasshouse.process().hold_output(false),
            Self::TinySeriesLimit => stage.restart_with("GLASSHOUSE_TELEMETRY__MAX_SERIES", "1000").await,
            Self::FailingRule => {
                stage.stack.prometheus.remove_rules("planted.yml");
                stage.stack.prometheus.reload().await;
            }
            Self::StoppedPrometheus => stage.stack.prometheus.start_again().await,
            Self::GoneCollector => stage.wire().mend(),
            Self::OpenFilesLimit(_) => stage.stack.glasshouse.process().limit_open_files(None),
            Self::Interrupted { .. } => {
                stage.end_tasks();
                stage.inject(json!([])).await;
            }
            Self::LockedTable
            | Self::Readers { .. }
            | Self::Crowd(_)
            | Self::WrongPasswords
            | Self::ForeignTokens
            | Self::IdleConnections(_) => stage.end_tasks(),
        }
    }
}
