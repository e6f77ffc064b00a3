//! The internal port answers probes and scrapes whatever other clients do: silent, slow, deaf and flooding ones, as many
//! as it accepts and more, of one address and of many.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::support::{Engine, Service};

/// More than the port accepts at once.
const CLIENTS: u32 = 300;
/// Far longer than an answer takes on a busy machine, and far shorter than a silent connection may last.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// A connection from `127.0.0.host`.
async fn connect(address: SocketAddr, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// The host of the client of that number: one for all, or one of forty.
fn host(many: bool, number: u32) -> u8 {
    if many { u8::try_from(number % 40).unwrap() + 2 } else { 1 }
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = connect(address, 1).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn assert_answers(service: &Service, what: &str) {
    for path in ["/health/live", "/health/ready", "/metrics", "/health/live"] {
        let mut last = String::new();
        // Newer connections of its own address can close one whose client has not sent its request yet: it tries again.
        let answered = timeout(ANSWER_TIMEOUT, async {
            while !last.starts_with("HTTP/1.1 200") {
                last = ask(service.internal, path).await.unwrap_or_else(|error| error.to_string());
            }
        });
        assert!(answered.await.is_ok(), "{what}: {path}: {last:.200}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_port_answers_probes_while_connections_are_held_open() {
    let service = Service::start().await;
    for (what, beginning) in [
        ("silent", ""),
        ("half a request", "GET /metrics HTTP/1.1\r\nhost: a\r\n"),
        ("half a preface", "PRI * HTTP/2.0\r\n"),
        ("idle HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ("a body that does not come", "PUT /debug/log HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n"),
        ("an answer that is not read", "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("many answers that are not read", &"GET /page/main.js HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100)),
    ] {
        for many in [false, true] {
            let mut held = Vec::new();
            for number in 0..CLIENTS {
                let mut stream = connect(service.internal, host(many, number)).await;
                // The port may have closed it for a newer one already.
                drop(stream.write_all(beginning.as_bytes()).await);
                held.push(stream);
            }
            assert_answers(&service, &format!("{what}, many addresses: {many}")).await;
            drop(held);
        }
    }
    let evicted = service.metric("glasshouse_internal_connection_failures_total{reason=\"evicted\"}").await;
    assert!(evicted.unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_port_answers_probes_while_clients_flood_it() {
    let service = Service::start().await;
    let address = service.internal;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let kinds = [
        ("scrapes", get("/metrics")),
        ("probes", get("/health/ready")),
        ("profiles", get("/debug/pprof/goroutine?debug=2")),
    ];
    for (what, request) in kinds {
        for many in [false, true] {
            let mut flood = JoinSet::new();
            for number in 0..60 {
                let request = request.clone();
                flood.spawn(async move {
                    let mut read = vec![0; 65_536];
                    loop {
                        let mut stream = connect(address, host(many, number)).await;
                        while stream.write_all(request.as_bytes()).await.is_ok()
                            && stream.read(&mut read).await.is_ok_and(|read| read > 0)
                        {}
                    }
                });
            }
            for number in 0..10 {
                flood.spawn(async move {
                    loop {
                        drop(connect(address, host(many, number)).await);
                    }
                });
            }
            assert_answers(&service, &format!("{what}, many addresses: {many}")).await;
            flood.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_filter_with_regular_expression_does_not_stop_the_internal_port() {
    let service = Service::start_with(Engine::Sqlite, &[]).await;
    let filter = format!("info,[{{x=.*a{}}}]=debug", ".".repeat(60));
    let put = reqwest::Client::new().put(format!("http://{}/debug/log", service.internal)).body(filter);
    let reply = timeout(ANSWER_TIMEOUT, put.send()).await.expect("an answer").unwrap();
    assert_eq!(reply.status(), 200, "the value is compared as text");
    // As many directives as fit into a body.
    let many = (0..400).map(|number| format!("a{number}[b{{c}}]=1")).collect::<Vec<_>>().join(",");
    let put = reqwest::Client::new().put(format!("http://{}/debug/log", service.internal)).body(many);
    timeout(ANSWER_TIMEOUT, put.send()).await.expect("an answer").unwrap();
    assert_answers(&service, "after it").await;
}
