//! Load: a few connections that ask again as soon as they are answered.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::{modes::Mode, server::Server};

const CONNECTIONS: usize = 16;

/// What one slice measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    requests: usize,
    cpu_seconds: f64,
    seconds: f64,
}

impl Slice {
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.requests as f64
    }

    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Asks `GET /api/v1/users/me` for so many seconds: one token to check, one statement to run.
pub(crate) async fn slice(server: &Server, mode: &Mode, token: &str, seconds: u64) -> Slice {
    let looking = mode.looked_at.map(|path| look(server, path));
    let request = format!(
        "GET /api/v1/users/me HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\naccept: application/json\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    let (started, cpu) = (Instant::now(), server.cpu());
    let end = started + Duration::from_secs(seconds);
    let connections = (0..CONNECTIONS).map(|_| connection(server, &request, end));
    let requests = futures_util::future::join_all(connections).await.into_iter().sum();
    // What was exported late belongs to these requests too.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let cpu_seconds = server.cpu() - cpu;
    if let Some(looking) = looking {
        assert!(!looking.is_finished(), "who is refused costs nothing");
        looking.abort();
    }
    Slice { requests, cpu_seconds, seconds: seconds as f64 }
}

/// Asks that of the internal port, and reads whatever comes until it is aborted.
#[expect(clippy::disallowed_methods, reason = "whoever looks is no part of the service")]
fn look(server: &Server, path: &str) -> JoinHandle<()> {
    let url = format!("http://{}{path}", server.internal);
    tokio::spawn(async move {
        let mut answer = reqwest::get(url).await.expect("the internal port answers");
        while let Ok(Some(_)) = answer.chunk().await {}
    })
}

async fn connection(server: &Server, request: &str, end: Instant) -> usize {
    let mut stream = TcpStream::connect(server.address).await.expect("the service listens");
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 16 * 1024];
    let mut answered = 0;
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await.expect("the service reads");
        let mut read = 0;
        while !is_whole(&buffer[..read]) {
            let more = stream.read(&mut buffer[read..]).await.expect("the service answers");
            assert!(more > 0, "the service closed the connection");
            read += more;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..read]));
        answered += 1;
    }
    answered
}

/// Whether head and body are there.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    answer.len() >= head + 4 + length.expect("a length")
}
