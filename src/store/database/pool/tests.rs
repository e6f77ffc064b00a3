//! A server that lets everybody in and answers `Sync`, as long as it is told to: what a pool does then is not seen from
//! outside of it.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use sqlx::{
    Postgres,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{FRESH, Pool};
use crate::{
    store::{Config, metrics::StoreMetrics, postgres::Connector},
    telemetry::{self, Metrics},
};

/// "Let in" and "ready", of <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const LET_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const READY: &[u8] = b"Z\0\0\0\x05I";
const SYNC: u8 = b'S';
const TERMINATE: u8 = b'X';

struct Server {
    port: u16,
    answers: watch::Sender<bool>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    opened: AtomicUsize,
    asked: AtomicUsize,
    closed: AtomicUsize,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers, told) = watch::channel(true);
        let seen = Arc::<Seen>::default();
        let counts = Arc::clone(&seen);
        drop(telemetry::spawn("server", async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, told.clone(), Arc::clone(&counts)).map(drop));
            }
        }));
        Self { port, answers, seen }
    }

    fn pool(&self, change: impl FnOnce(&mut Config)) -> Pool<Postgres> {
        const LONG: Duration = Duration::from_mins(10);
        let mut config = Config {
            url: "postgres://ann@localhost/users".parse().unwrap(),
            max_connections: 1,
            acquire_timeout: Duration::from_mins(1),
            idle_timeout: LONG,
            max_lifetime: LONG,
            statement_timeout: LONG,
            ping_timeout: LONG,
            // So that nothing but `Sync` is asked.
            pooler: true,
            migrate: false,
        };
        change(&mut config);
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port).username("ann");
        let metrics = StoreMetrics::new(&Metrics::new(100), "postgresql");
        let options = options.ssl_mode(PgSslMode::Disable);
        Pool::new(&config, Connector { options, is_pooled: true, timeout: config.acquire_timeout }, metrics)
    }

    async fn until(&self, is_so: impl Fn(&Seen) -> bool) {
        let look = poll_fn(|context| {
            context.waker().wake_by_ref();
            if is_so(&self.seen) { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::time::timeout(Duration::from_mins(1), look).await.expect("it is so within a minute");
    }
}

async fn serve(mut stream: TcpStream, mut answers: watch::Receiver<bool>, seen: Arc<Seen>) -> std::io::Result<()> {
    seen.opened.fetch_add(1, SeqCst);
    let length = stream.read_u32().await?;
    stream.read_exact(&mut vec![0; length as usize - 4]).await?;
    answers.wait_for(|answers| *answers).await.ok();
    stream.write_all(&[LET_IN, READY].concat()).await?;
    loop {
        let kind = stream.read_u8().await?;
        let length = stream.read_u32().await?;
        stream.read_exact(&mut vec![0; length as usize - 4]).await?;
        let counted = if kind == TERMINATE { &seen.closed } else { &seen.asked };
        counted.fetch_add(1, SeqCst);
        answers.wait_for(|answers| *answers).await.ok();
        if kind == SYNC {
            stream.write_all(READY).await?;
        }
    }
}

fn count(counted: &AtomicUsize) -> usize {
    counted.load(SeqCst)
}

fn make_stale(pool: &Pool<Postgres>) {
    for idle in pool.0.idle().iter_mut() {
        idle.since = Instant::now().checked_sub(FRESH * 2).unwrap();
    }
}

#[tokio::test]
async fn what_somebody_gave_up_to_wait_for_is_the_next_ones() {
    let server = Server::start().await;
    let pool = server.pool(|_| ());
    server.answers.send_replace(false);
    let mut opening = Box::pin(pool.acquire(FRESH));
    assert!(opening.as_mut().now_or_never().is_none());
    drop(opening);
    server.answers.send_replace(true);
    let connection = pool.acquire(FRESH).await.unwrap();
    assert_eq!((count(&server.seen.opened), pool.connections()), (1, (0, 1)));
    drop(connection);
    assert_eq!(pool.connections(), (1, 0));
}

#[tokio::test]
async fn opening_a_connection_takes_no_longer_than_it_may() {
    let server = Server::start().await;
    let pool = server.pool(|config| config.acquire_timeout = Duration::from_millis(20));
    server.answers.send_replace(false);
    let error = pool.acquire(FRESH).await.err().unwrap();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    assert_eq!(pool.connections(), (0, 0), "its place is free again");
}

#[tokio::test]
async fn a_connection_that_was_idle_for_long_is_asked_before_it_is_lent() {
    let server = Server::start().await;
    let pool = server.pool(|_| ());
    drop(pool.acquire(FRESH).await.unwrap());
    drop(pool.acquire(FRESH).await.unwrap());
    assert_eq!(count(&server.seen.asked), 0, "one that was used a moment ago is trusted");
    make_stale(&pool);
    assert!(pool.try_acquire(FRESH).is_none());
    drop(pool.acquire(FRESH).await.unwrap());
    assert_eq!((count(&server.seen.asked), count(&server.seen.opened)), (1, 1));
    assert!(pool.try_acquire(FRESH).is_some(), "it is fresh again");
}

#[tokio::test]
async fn a_connection_that_does_not_answer_is_replaced_and_with_it_all_that_were_idle_for_longer() {
    let server = Server::start().await;
    let pool = server.pool(|config| config.max_connections = 2);
    let both = (pool.acquire(FRESH).await.unwrap(), pool.acquire(FRESH).await.unwrap());
    drop(both);
    make_stale(&pool);
    server.answers.send_replace(false);
    let (acquired, ()) = tokio::join!(pool.acquire(FRESH), async {
        // Two were there; a third knocks once the first has not answered.
        server.until(|seen| count(&seen.opened) == 3).await;
        server.answers.send_replace(true);
    });
    acquired.unwrap();
    assert_eq!(count(&server.seen.asked), 1);
    server.until(|seen| count(&seen.closed) == 2).await;
}

#[tokio::test]
async fn what_is_open_for_too_long_is_closed_when_it_is_given_back() {
    let server = Server::start().await;
    let pool = server.pool(|config| config.max_lifetime = Duration::from_millis(1));
    let connection = pool.acquire(FRESH).await.unwrap();
    while connection.opened.elapsed() <= Duration::from_millis(1) {
        tokio::task::yield_now().await;
    }
    drop(connection);
    server.until(|seen| count(&seen.closed) == 1).await;
    assert_eq!(pool.connections().0, 0);
}

#[tokio::test]
async fn a_pool_is_closed_when_all_is_given_back() {
    let server = Server::start().await;
    let pool = server.pool(|config| config.max_connections = 2);
    let (used, idle) = (pool.acquire(FRESH).await.unwrap(), pool.acquire(FRESH).await.unwrap());
    drop(idle);
    let mut closing = Box::pin(pool.close());
    assert!(closing.as_mut().now_or_never().is_none());
    // What is idle is closed at once, and nobody gets anything any more.
    let looks = async {
        server.until(|seen| count(&seen.closed) == 1).await;
        assert!(pool.try_acquire(FRESH).is_none());
        assert!(matches!(pool.acquire(FRESH).await, Err(sqlx::Error::PoolClosed)));
        drop(used);
    };
    tokio::join!(closing, looks);
    server.until(|seen| count(&seen.closed) == 2).await;
    assert_eq!(count(&server.seen.opened), 2);
}
