//! Accepts connections to the internal port: a bounded number of them, none silent or deaf for ever.
//!
//! Whoever looks on must not take the files that the service needs for its own clients.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::Service;

use super::{guard::Ends, patient::Patient};
use crate::telemetry;

/// Scrapers, probes and a few people. Whoever comes beyond it waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection may be silent, or not take what it asked for. Scrapers come more often than this, and keep
/// theirs.
const SILENCE: Duration = Duration::from_secs(90);
/// How many requests of one HTTP/2 connection are under way at once.
const MAX_STREAMS: u32 = 32;
/// How long to wait when the system has no connection for us.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs what HTTP/2 does beside the connection itself, such as the requests on it.
#[derive(Clone)]
struct Streams;

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        drop(telemetry::spawn("internal stream", future));
    }
}

/// Serves for as long as the current runtime lives.
pub(super) async fn accept(listener: TcpListener, router: Router) {
    accept_patiently(listener, router, SILENCE).await;
}

async fn accept_patiently(listener: TcpListener, router: Router, silence: Duration) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut builder = Builder::new(Streams);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(silence);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(silence).max_concurrent_streams(MAX_STREAMS);
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let (builder, router) = (builder.clone(), router.clone());
                drop(telemetry::spawn("internal connection", async move {
                    connection(&builder, stream, router, silence).await;
                    drop(place);
                }));
            }
            Err(error) => {
                tracing::debug!(target: "glasshouse::internal", { error.message = %error }, "no connection could be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(builder: &Builder<Streams>, stream: TcpStream, router: Router, silence: Duration) {
    // Before the first octets hyper does not know which protocol it is, and has no clock for it.
    if timeout(silence, stream.readable()).await.is_err() {
        return;
    }
    let ends = ConnectInfo(Ends::of(&stream));
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request;
        request.extensions_mut().insert(ends);
        router.clone().call(request)
    });
    // Whoever looks on and breaks off has broken nothing.
    drop(builder.serve_connection(TokioIo::new(Patient::new(stream, silence)), service).await);
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::{Body, Bytes},
        routing::get,
    };
    use futures_util::stream;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time::sleep,
    };

    use std::time::Duration;

    use super::{MAX_CONNECTIONS, accept_patiently};
    use crate::telemetry;

    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[tokio::test]
    async fn silent_connections_make_room_for_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "here"));
        let accepting = telemetry::spawn("accept", accept_patiently(listener, router, Duration::from_millis(50)));
        let mut silent = Vec::new();
        for number in 0..MAX_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let beginning = ["", "GET / HTTP/1.1\r\n", REQUEST][number % 3];
            stream.write_all(beginning.as_bytes()).await.unwrap();
            silent.push(stream);
        }
        let mut last = TcpStream::connect(address).await.unwrap();
        last.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut said = String::new();
        last.read_to_string(&mut said).await.unwrap();
        assert!(said.ends_with("here"), "{said}");
        drop(silent);
        accepting.abort();
    }

    #[tokio::test]
    async fn who_asks_and_does_not_read_makes_room_for_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // More than the system keeps for one connection.
        let long = Bytes::from(vec![b'a'; 16 << 20]);
        let router = Router::new().route("/long", get(async move || long)).route("/", get(async || "here"));
        let accepting = telemetry::spawn("accept", accept_patiently(listener, router, Duration::from_millis(50)));
        let mut deaf = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(REQUEST.replace("/ ", "/long ").as_bytes()).await.unwrap();
            deaf.push(stream);
        }
        let mut last = TcpStream::connect(address).await.unwrap();
        last.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut said = String::new();
        let reading = last.read_to_string(&mut said);
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("somebody has made room").unwrap();
        assert!(said.ends_with("here"), "{said}");
        drop(deaf);
        accepting.abort();
    }

    /// A router whose only answer lasts for many times the silence, and says something only at its end.
    fn patient(silence: Duration) -> Router {
        let answer = async move || {
            Body::from_stream(stream::once(async move {
                sleep(silence * 10).await;
                Ok::<_, std::io::Error>("the end")
            }))
        };
        Router::new().route("/", get(answer))
    }

    #[tokio::test]
    async fn an_answer_that_lasts_is_not_cut_off_for_its_silence() {
        let silence = Duration::from_millis(50);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let accepting = telemetry::spawn("accept", accept_patiently(listener, patient(silence), silence));
        let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        for client in [reqwest::Client::new(), http2] {
            let answer = client.get(&url).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "the end");
        }
        accepting.abort();
    }
}
