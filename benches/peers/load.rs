//! Load over HTTP/1.1: a closed loop, whose clients ask again at once, and an open loop, whose requests come at a rate.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::requests::Requests;

/// A client of the open loop gives up after this.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// The open loop has no more connections than this; a request that finds none counts as failed.
const MAX_CONNECTIONS: usize = 4096;
/// How often the open loop sends the requests that are due.
const TICK: Duration = Duration::from_millis(2);
/// A client whose connection failed waits for this before it connects again.
const RECONNECT_DELAY: Duration = Duration::from_millis(10);

/// The outcome of requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    /// Latencies of those answered with 200.
    pub(crate) served: Vec<Duration>,
    /// Answered with 503.
    pub(crate) refused: usize,
    /// Other statuses, broken connections, clients that gave up.
    pub(crate) failed: usize,
}

impl Answers {
    fn add(&mut self, status: Option<u16>, took: Duration) {
        match status {
            Some(200) => self.served.push(took),
            Some(503) => self.refused += 1,
            _ => self.failed += 1,
        }
    }

    /// The latency that this share of the served requests did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut times = self.served.clone();
        times.sort_unstable();
        times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default()
    }

    /// How many were served within that time.
    pub(crate) fn served_within(&self, time: Duration) -> usize {
        self.served.iter().filter(|took| **took <= time).count()
    }

    /// The share of requests that the server refused.
    pub(crate) fn refused_share(&self) -> f64 {
        self.refused as f64 / (self.served.len() + self.refused + self.failed).max(1) as f64
    }
}

/// Sends requests on that many connections for `warm_up + time`. Each connection sends the next request when it has the
/// answer to the last. Counts the answers that come after the warm-up.
pub(crate) async fn closed(
    address: SocketAddr,
    connections: usize,
    requests: &Requests,
    warm_up: Duration,
    time: Duration,
) -> Answers {
    let answers = Mutex::new(Answers::default());
    let counted_from = Instant::now() + warm_up;
    let clients = (0..connections).map(|_| closed_loop_client(address, requests, counted_from, &answers));
    // Requests in flight at the end are not counted.
    timeout(warm_up + time, join_all(clients)).await.ok();
    answers.into_inner().expect("no client panics")
}

async fn closed_loop_client(address: SocketAddr, requests: &Requests, counted_from: Instant, answers: &Mutex<Answers>) {
    let mut connection = None;
    while let Some(request) = requests.next() {
        let sent_at = Instant::now();
        let status = Connection::ask(&mut connection, address, request).await.ok();
        if Instant::now() >= counted_from {
            answers.lock().expect("no client panics").add(status, sent_at.elapsed());
        }
        if status.is_none() {
            sleep(RECONNECT_DELAY).await;
        }
    }
}

/// Sends requests at that rate, whether or not earlier ones are answered. A latency counts from the time at which the
/// request was due. Returns how many were sent.
pub(crate) async fn open(address: SocketAddr, rate: f64, requests: &Arc<Requests>, time: Duration) -> (Answers, usize) {
    let idle: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let connections = Arc::new(AtomicUsize::new(0));
    let (start, mut sent) = (Instant::now(), 0);
    let mut answers = Answers::default();
    let mut in_flight = JoinSet::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while start.elapsed() < time {
        ticks.tick().await;
        while (sent as f64) < start.elapsed().as_secs_f64() * rate {
            let due = start + Duration::from_secs_f64(sent as f64 / rate);
            sent += 1;
            let mut connection = idle.lock().expect("no client panics").pop();
            if connection.is_none() && connections.fetch_add(1, Relaxed) >= MAX_CONNECTIONS {
                connections.fetch_sub(1, Relaxed);
                answers.failed += 1;
                continue;
            }
            let (idle, connections, requests) = (Arc::clone(&idle), Arc::clone(&connections), Arc::clone(requests));
            in_flight.spawn(async move {
                let request = requests.next().expect("they repeat");
                let ask = timeout(CLIENT_TIMEOUT, Connection::ask(&mut connection, address, request));
                let status = ask.await.ok().and_then(Result::ok);
                match connection.filter(|_| status.is_some()) {
                    Some(connection) => idle.lock().expect("no client panics").push(connection),
                    None => drop(connections.fetch_sub(1, Relaxed)),
                }
                (status, due.elapsed())
            });
        }
        while let Some(ended) = in_flight.try_join_next() {
            let (status, took) = ended.expect("no client panics");
            answers.add(status, took);
        }
    }
    for (status, took) in in_flight.join_all().await {
        answers.add(status, took);
    }
    (answers, sent)
}

/// A connection that is kept open between requests.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Sends a request, over a new connection if there is none, and returns the status of its answer. Afterwards there is
    /// none if the server closes it.
    async fn ask(connection: &mut Option<Self>, address: SocketAddr, request: &str) -> io::Result<u16> {
        let mut open = if let Some(open) = connection.take() {
            open
        } else {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Self { stream, buffer: Vec::with_capacity(4096) }
        };
        open.stream.write_all(request.as_bytes()).await?;
        open.buffer.clear();
        let head = loop {
            if open.stream.read_buf(&mut open.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match Head::parse(&open.buffer) {
                Some(head) if open.buffer.len() >= head.answer_len => break head,
                _ => {}
            }
        };
        if !head.closes {
            *connection = Some(open);
        }
        Ok(head.status)
    }
}

/// What the client needs of an answer's head.
struct Head {
    status: u16,
    answer_len: usize,
    closes: bool,
}

impl Head {
    /// Reads it; none if it is not complete.
    fn parse(answer: &[u8]) -> Option<Self> {
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let mut lines = std::str::from_utf8(&answer[..end]).ok()?.split("\r\n");
        let status = lines.next()?.get(9..12)?.parse().ok()?;
        let (mut body_len, mut closes) = (0, false);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                body_len = value.parse().ok()?;
            } else if name.eq_ignore_ascii_case("connection") {
                closes |= value.eq_ignore_ascii_case("close");
            }
        }
        Some(Self { status, answer_len: end + 4 + body_len, closes })
    }
}
