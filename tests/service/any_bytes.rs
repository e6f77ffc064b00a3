//! Whatever is sent, wherever: never a 500, never a panic, never an error in the log.

use futures_util::{StreamExt, stream};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Engine, Service, Session};

/// The same inputs each time, so that what fails once fails again.
fn inputs<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Sends bytes, and reads until the service ends the connection. A client that ends its own side has gone away.
async fn answered(service: &Service, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(service.public).await.unwrap();
    // A server that has heard enough may close before it has read everything.
    stream.write_all(bytes).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    answer
}

/// The statuses of all answers in there.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

async fn assert_unharmed(service: Service) {
    assert_eq!(service.client().get("/health/ready").await.status, 200);
    let stopped = service.stop().await;
    stopped.outcome.unwrap();
    let errors: Vec<_> = stopped.lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_on_a_connection_harm_it() {
    // Who has begun a request and says no more is not waited for.
    let impatient = [("GLASSHOUSE_HTTP__HEADER_TIMEOUT", "100ms"), ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "10s")];
    let service = Service::start_with(Engine::Sqlite, &impatient).await;
    let noise = inputs(proptest::collection::vec(any::<u8>(), 0..600), 150);
    let nearly = inputs(
        "(GET|POST|PUT|PATCH|DELETE|[A-Z]{1,9}) [ -~]{0,60}( HTTP/[0-9.]{1,4})?\r\n([ -~]{0,40}\r\n){0,5}\r\n\\PC{0,60}",
        300,
    );
    let all = noise.into_iter().chain(nearly.into_iter().map(String::into_bytes));
    let asked = stream::iter(all).map(async |bytes| {
        let statuses = statuses(&answered(&service, &bytes).await);
        assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}: {}", bytes.escape_ascii());
    });
    asked.buffer_unordered(64).collect::<()>().await;
    assert_unharmed(service).await;
}

/// One request that is in order as HTTP, and perhaps in nothing else.
#[derive(Debug)]
struct Odd {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    let bytes = proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'\t')], 0..60);
    let text = prop_oneof![
        "application/(json|merge-patch\\+json)",
        "Bearer [A-Za-z0-9._-]{0,80}",
        "(W/)?\"[ -~]{0,40}\"",
        "\\*"
    ];
    prop_oneof![bytes, text.prop_map(String::into_bytes)]
}

fn odd() -> impl Strategy<Value = Odd> {
    let method =
        prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]);
    let path = prop_oneof![
        "/api/v1/users(/me|/%[0-9A-F]{2}|/[!-~&&[^?#]]{0,40}|/ID|/ID/password)?(\\?[!-~&&[^#]]{0,60})?",
        "/api/v1/users\\?(limit|cursor|role|email_prefix)=[!-~&&[^#]]{0,60}",
        "/api/v1/auth/(sign-in|sign-out|refresh)",
        "/(health/ready|health/live|\\.well-known/jwks\\.json|api/v1/openapi\\.json|api/v1/docs/?[!-~&&[^#]]{0,20})",
        "/[!-~&&[^#]]{0,80}",
    ];
    let names = prop::sample::select(vec![
        "accept",
        "authorization",
        "content-type",
        "if-match",
        "if-none-match",
        "x-request-id",
        "traceparent",
        "tracestate",
        "baggage",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-force-trace",
        "user-agent",
        "cookie",
        "te",
        "range",
        "accept-encoding",
        "origin",
    ]);
    let headers = proptest::collection::vec((names, header_value()), 0..6);
    let json = prop_oneof![
        "\\{\"(email|name|password|refresh_token|role|old_password)\":(\"\\PC{0,40}\"|null|[0-9]{1,30}|\\[\\]|\\{\\})\\}",
        "\\{\"email\":\"[a-z@.]{0,20}\",\"name\":\"\\PC{0,20}\",\"password\":\"\\PC{0,12}\"\\}",
        "[\\[\\]{}\",:0-9a-z\\\\]{0,80}",
    ];
    let body = prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), json.prop_map(String::into_bytes)];
    (method, path, headers, body).prop_map(|(method, path, headers, body)| Odd { method, path, headers, body })
}

impl Odd {
    fn bytes(&self, caller: &Session) -> Vec<u8> {
        let path = self.path.replace("ID", &caller.id);
        let length = self.body.len();
        let mut bytes =
            format!("{} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n", self.method).into_bytes();
        if !self.headers.iter().any(|(name, _)| *name == "authorization") {
            bytes.extend(format!("authorization: Bearer {}\r\n", caller.access_token).bytes());
        }
        if !self.headers.iter().any(|(name, _)| *name == "content-type") {
            bytes.extend(b"content-type: application/json\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend([&b"connection: close\r\n\r\n"[..], &self.body].concat());
        bytes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_to_any_endpoint_harms_it() {
    let service = Service::start().await;
    let root = service.admin("root@example.com").await;
    let asked = stream::iter(inputs(odd(), 700)).map(async |odd| {
        let answer = answered(&service, &odd.bytes(&root)).await;
        let statuses = statuses(&answer);
        assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}: {odd:?}");
        assert_eq!(statuses.len(), 1, "{odd:?}: {}", answer.escape_ascii());
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(statuses[0] == 400 || text.contains("x-request-id: "), "{odd:?}: {text}");
    });
    asked.buffer_unordered(8).collect::<()>().await;
    assert_unharmed(service).await;
}
