//! Load of two kinds: clients who wait for their answer before they ask again, and those who come when they come.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// Who waits longer than this has gone, and was not served.
const PATIENCE: Duration = Duration::from_secs(10);
/// Arrivals are let loose so often.
const TICK: Duration = Duration::from_millis(2);

/// What is asked, of whom, over connections that are kept.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    request: Arc<str>,
    idle: Arc<Mutex<Vec<TcpStream>>>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Answers {
    served: Vec<Duration>,
    refused: Vec<Duration>,
    /// Neither: another status, or a connection that broke.
    failed: usize,
}

impl Target {
    /// One token to check, one statement to run.
    pub(crate) fn reads(address: SocketAddr, token: &str) -> Self {
        Self::new(address, format!("GET /api/v1/users/me HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n"))
    }

    /// One password to check.
    pub(crate) fn sign_ins(address: SocketAddr) -> Self {
        let body = r#"{"email": "bench@example.com", "password": "a fine password"}"#;
        let head = "POST /api/v1/auth/sign-in HTTP/1.1\r\nhost: a\r\ncontent-type: application/json";
        Self::new(address, format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    fn new(address: SocketAddr, request: String) -> Self {
        Self { address, request: request.into(), idle: Arc::default() }
    }

    /// The status of one answer; nothing if there was none in time. A connection that was kept may have been closed
    /// meanwhile, as every client knows: then it is another one's turn.
    async fn ask(&self) -> Option<u16> {
        let asking = async {
            loop {
                let kept = self.idle.lock().expect("nobody panics with it").pop();
                let is_new = kept.is_none();
                let stream = match kept {
                    Some(stream) => stream,
                    None => TcpStream::connect(self.address).await.ok()?,
                };
                let status = self.ask_on(stream).await;
                if is_new || status.is_some() {
                    return status;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.ok().flatten()
    }

    async fn ask_on(&self, mut stream: TcpStream) -> Option<u16> {
        stream.set_nodelay(true).ok()?;
        stream.write_all(self.request.as_bytes()).await.ok()?;
        let (mut buffer, mut read) = (vec![0; 8 * 1024], 0);
        while !is_whole(&buffer[..read]) {
            let more = stream.read(&mut buffer[read..]).await.ok().filter(|more| *more > 0)?;
            read += more;
        }
        self.idle.lock().expect("nobody panics with it").push(stream);
        std::str::from_utf8(&buffer[9..12]).ok()?.parse().ok()
    }
}

impl Answers {
    fn add(&mut self, status: Option<u16>, took: Duration) {
        match status {
            Some(200) => self.served.push(took),
            Some(503) => self.refused.push(took),
            _ => self.failed += 1,
        }
    }

    fn join(mut self, other: Self) -> Self {
        self.served.extend(other.served);
        self.refused.extend(other.refused);
        self.failed += other.failed;
        self
    }

    /// How many a second were served.
    pub(crate) fn goodput(&self, time: Duration) -> f64 {
        self.served.len() as f64 / time.as_secs_f64()
    }

    pub(crate) const fn served(&self) -> usize {
        self.served.len()
    }

    pub(crate) const fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Whether a request was neither served nor refused.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// Whether everybody was served as soon as that.
    pub(crate) fn all_within(&self, time: Duration) -> bool {
        self.refused.is_empty() && self.failed == 0 && self.served.iter().all(|took| *took <= time)
    }

    /// In words.
    pub(crate) fn told(&self) -> String {
        let (served, refused) = (quantiles(&self.served), quantiles(&self.refused));
        format!(
            "{} served in p50 {} ms, p99 {} ms; {} refused in p99 {} ms; {} failed",
            self.served.len(),
            served.0,
            served.1,
            self.refused.len(),
            refused.1,
            self.failed
        )
    }
}

/// The median and the 99th percentile, in ms.
fn quantiles(times: &[Duration]) -> (u128, u128) {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_millis);
    (at(50), at(99))
}

/// So many clients, each of whom asks again once it is answered; who is refused takes a breath.
pub(crate) async fn closed(target: &Target, clients: usize, time: Duration) -> Answers {
    let end = Instant::now() + time;
    let client = async || {
        let mut answers = Answers::default();
        while Instant::now() < end {
            let began = Instant::now();
            let status = target.ask().await;
            answers.add(status, began.elapsed());
            if status != Some(200) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        answers
    };
    let all = futures_util::future::join_all((0..clients).map(|_| client())).await;
    all.into_iter().fold(Answers::default(), Answers::join)
}

/// So many a second, whatever becomes of those before; each is timed from when it was due.
pub(crate) async fn open(target: &Target, rate: f64, time: Duration) -> Answers {
    let (began, mut sent) = (Instant::now(), 0.0);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    let mut answers = Answers::default();
    while began.elapsed() < time {
        ticks.tick().await;
        while sent < began.elapsed().as_secs_f64() * rate {
            let (target, due) = (target.clone(), began + Duration::from_secs_f64(sent / rate));
            under_way.spawn(async move { (target.ask().await, due.elapsed()) });
            sent += 1.0;
        }
        while let Some(ended) = under_way.try_join_next() {
            let (status, took) = ended.expect("asking does not panic");
            answers.add(status, took);
        }
    }
    for (status, took) in under_way.join_all().await {
        answers.add(status, took);
    }
    answers
}

/// Whether head and body are there.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    answer.len() >= head + 4 + length.expect("a length")
}
