//! HTTP as clients of all ages speak it, octet by octet.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{PASSWORD, Service};

/// How long an answer may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Three answers of the service that can be told apart.
const PATHS: [(&str, &str); 3] =
    [("/health/live", "200"), ("/api/v1/nowhere", "404"), ("/.well-known/jwks.json", "200")];

struct Connection(TcpStream);

/// An answer as it stood on the wire.
#[derive(Debug)]
struct Answer {
    /// The status line and the headers, in lower case.
    head: String,
    body: String,
}

impl Connection {
    async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn send(&mut self, octets: &str) {
        self.0.write_all(octets.as_bytes()).await.unwrap();
    }

    /// Headers up to the empty line.
    async fn head(&mut self) -> String {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let octet = timeout(PATIENCE, self.0.read_u8()).await.expect("an answer in time");
            read.push(octet.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&read))));
        }
        String::from_utf8(read).unwrap().to_ascii_lowercase()
    }

    /// An answer with a body of the length that it names.
    async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let mut body = vec![0; header(&head, "content-length").expect("a length").parse().unwrap()];
        timeout(PATIENCE, self.0.read_exact(&mut body)).await.expect("a body in time").unwrap();
        Answer { head, body: String::from_utf8(body).unwrap() }
    }

    /// Whether the service has closed it, having said nothing more.
    async fn is_closed(&mut self) -> bool {
        matches!(timeout(PATIENCE, self.0.read(&mut [0])).await.expect("an end in time"), Ok(0) | Err(_))
    }
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn registration(email: &str) -> String {
    json!({ "email": email, "password": PASSWORD, "name": "Ann" }).to_string()
}

/// In chunks of seven octets.
fn chunked(body: &str) -> String {
    let chunks =
        body.as_bytes().chunks(7).map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap()));
    chunks.chain(["0\r\n\r\n".to_owned()]).collect()
}

const POST: &str = "POST /api/v1/users HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_is_answered_and_the_connection_ends() {
    let service = Service::start().await;
    for (path, status) in PATHS {
        // Without a Host, which came later.
        let mut connection = Connection::to(service.public).await;
        connection.send(&format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        let answer = connection.answer().await;
        assert!(answer.head.starts_with(&format!("http/1.0 {status} ")), "{answer:?}");
        assert!(header(&answer.head, "x-request-id").is_some(), "{answer:?}");
        assert!(header(&answer.head, "transfer-encoding").is_none(), "{answer:?}");
        assert!(connection.is_closed().await, "{path}");
    }
    // Unless the client asks for more, as `ab -k` does.
    let mut connection = Connection::to(service.public).await;
    for _ in 0..2 {
        connection.send("GET /health/live HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
        assert_eq!(header(&connection.answer().await.head, "connection"), Some("keep-alive"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_a_pipeline_are_answered_in_their_order() {
    let service = Service::start().await;
    let mut connection = Connection::to(service.public).await;
    let body = registration("ann@example.com");
    let post = format!("{POST}content-length: {}\r\nx-request-id: post\r\n\r\n{body}", body.len());
    let gets = PATHS.map(|(path, _)| format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-request-id: {}\r\n\r\n", path.len()));
    // The slowest first, all in one piece.
    connection.send(&format!("{post}{}{post}", gets.concat())).await;

    let first = connection.answer().await;
    assert_eq!((first.status(), header(&first.head, "x-request-id")), ("201", Some("post")));
    for (path, status) in PATHS {
        let answer = connection.answer().await;
        let id = path.len().to_string();
        assert_eq!((answer.status(), header(&answer.head, "x-request-id")), (status, Some(id.as_str())));
    }
    assert_eq!(connection.answer().await.json()["code"], "email_taken");
    connection.send("GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(connection.answer().await.status(), "200");
    assert!(connection.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_without_tls_carries_the_whole_of_it() {
    let service = Service::start().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = |path: &str| service.client().url(path);
    let registered = client
        .post(url("/api/v1/users"))
        .json(&json!({ "email": "ann@example.com", "password": PASSWORD, "name": "Ann" }));
    let registered = registered.send().await.unwrap();
    assert_eq!((registered.status().as_u16(), registered.version()), (201, reqwest::Version::HTTP_2));
    let grant =
        client.post(url("/api/v1/auth/sign-in")).json(&json!({ "email": "ann@example.com", "password": PASSWORD }));
    let grant: Value = grant.send().await.unwrap().json().await.unwrap();
    let token = grant["access_token"].as_str().unwrap();

    // More than may be under way on one connection: the rest waits for its turn.
    let many = (0..300).map(|_| async {
        let answer = client.get(url("/api/v1/users/me")).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.version())
    });
    let answers = futures_util::future::join_all(many).await;
    assert!(answers.iter().all(|answer| *answer == (200, reqwest::Version::HTTP_2)), "{answers:?}");
    assert_eq!(service.metric("glasshouse_http_connections").await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_to_change_protocols_is_passed_over() {
    let service = Service::start().await;
    let offers = ["upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n", "upgrade: websocket\r\n"];
    let mut connection = Connection::to(service.public).await;
    for offer in offers {
        connection.send(&format!("GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n{offer}\r\n")).await;
        assert_eq!(connection.answer().await.status(), "200", "{offer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_to_be_asked_for_a_body_is_asked_unless_it_is_too_long() {
    let service = Service::start().await;
    let body = registration("ann@example.com");
    let mut connection = Connection::to(service.public).await;
    connection.send(&format!("{POST}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len())).await;
    assert_eq!(connection.head().await, "http/1.1 100 continue\r\n\r\n");
    connection.send(&body).await;
    assert_eq!(connection.answer().await.status(), "201");

    let length = format!("content-length: {}\r\n", u32::MAX);
    let short = format!("content-length: {}\r\n", body.len());
    let head = POST.replace("application/json", "text/plain");
    let sign_out = POST.replace("/api/v1/users", "/api/v1/auth/sign-out");
    let mut connection = Connection::to(service.public).await;
    connection.send(&format!("{POST}expect: 100-continue\r\n{length}\r\n")).await;
    assert_eq!(connection.answer().await.status(), "413");
    // Before it is looked at, a request is here as a whole: it would take the place of another while it is sent.
    for (head, status) in [(&head, "415"), (&sign_out, "401")] {
        let mut connection = Connection::to(service.public).await;
        connection.send(&format!("{head}expect: 100-continue\r\n{short}\r\n")).await;
        assert_eq!(connection.head().await, "http/1.1 100 continue\r\n\r\n");
        connection.send(&body).await;
        assert_eq!(connection.answer().await.status(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_is_a_body() {
    let service =
        Service::start_with(crate::support::Engine::Sqlite, &[("GLASSHOUSE_HTTP__MAX_BODY_BYTES", "1024")]).await;
    let mut connection = Connection::to(service.public).await;
    let head = format!("{POST}transfer-encoding: chunked\r\n\r\n");
    connection.send(&head).await;
    // Piece by piece, with what chunks may carry beside their octets.
    let body = registration("ann@example.com");
    let (first, rest) = body.split_at(5);
    for piece in [format!("5;name=\"value\"\r\n{first}\r\n"), chunked(rest)] {
        connection.send(&piece).await;
    }
    let answer = connection.answer().await;
    assert_eq!((answer.status(), &answer.json()["email"]), ("201", &json!("ann@example.com")));

    // The next request begins where the last chunk ends; trailers are passed over.
    connection.send(&format!("{head}0\r\nx-trailer: yes\r\n\r\n")).await;
    assert_eq!(connection.answer().await.json()["code"], "body_malformed");

    // What is too long is refused although nobody said how long it is.
    let mut connection = Connection::to(service.public).await;
    connection.send(&format!("{head}{}", chunked(&" ".repeat(2000)))).await;
    assert_eq!(connection.answer().await.json()["code"], "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn framing_that_two_readers_could_read_differently_is_refused() {
    let service = Service::start().await;
    let body = registration("ann@example.com");
    let chunks = chunked(&body);
    for (headers, body) in [
        ("content-length: 3\r\ncontent-length: 4\r\n", body.as_str()),
        ("content-length: +3\r\n", body.as_str()),
        ("transfer-encoding: gzip\r\n", body.as_str()),
        ("transfer-encoding: chunked, identity\r\n", chunks.as_str()),
        ("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "-1\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
    ] {
        let mut connection = Connection::to(service.public).await;
        connection.send(&format!("{POST}{headers}\r\n{body}")).await;
        let head = connection.head().await;
        assert!(head.starts_with("http/1.1 400 "), "{headers:?} {body:?}: {head}");
    }
    assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 401, "nobody was registered");

    // Of a length and chunks, chunks count, and nothing that follows does (RFC 9112, section 6.3).
    let mut connection = Connection::to(service.public).await;
    let next = "GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
    connection.send(&format!("{POST}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n{chunks}{next}")).await;
    assert_eq!(connection.answer().await.status(), "201");
    assert!(connection.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_the_get_without_its_body() {
    let service = Service::start().await;
    for (path, status) in PATHS {
        let mut connection = Connection::to(service.public).await;
        connection.send(&format!("HEAD {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        let head = connection.head().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert!(header(&head, "content-length").is_some_and(|length| length != "0"), "{head}");
        assert!(connection.is_closed().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_may_name_the_host_as_proxies_are_asked() {
    let service = Service::start().await;
    let mut connection = Connection::to(service.public).await;
    connection.send("GET http://a.example/health/live?x=1 HTTP/1.1\r\nhost: a.example\r\n\r\n").await;
    assert_eq!(connection.answer().await.status(), "200");
    // `OPTIONS *` asks about the server, which has nothing to say; nothing may be found behind `*`.
    connection.send("OPTIONS * HTTP/1.1\r\nhost: a.example\r\n\r\n").await;
    assert!(["404", "405"].contains(&connection.answer().await.status()));
}
