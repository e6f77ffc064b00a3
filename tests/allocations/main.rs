//! How many allocations a request makes, against `tests/golden/allocations.txt`; `UPDATE_GOLDEN=1` writes it anew.
//!
//! In a process of its own, since the allocator counts for the whole process. The client allocates nothing.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]
#![expect(clippy::disallowed_methods, reason = "UPDATE_GOLDEN is a setting of the tests and of nothing else")]

#[path = "../support/in_process.rs"]
mod in_process;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tikv_jemalloc_ctl::{Access, AsName, epoch};

/// So many that what the background tasks allocate meanwhile is lost among them.
const REQUESTS: u32 = 2000;
/// How much more than the golden file says is a failure.
const TOLERANCE: f64 = 1.1;

/// Allocations so far, in all arenas: jemalloc's `MALLCTL_ARENAS_ALL` is 4096. A thread's own cache counts late, by some
/// hundred at most.
fn allocations() -> u64 {
    epoch::advance().unwrap();
    let [small, large]: [u64; 2] =
        [&b"stats.arenas.4096.small.nrequests\0"[..], b"stats.arenas.4096.large.nrequests\0"]
            .map(|name| name.name().read().unwrap());
    small + large
}

/// One connection that is kept.
struct Client {
    stream: TcpStream,
    buffer: [u8; 16 * 1024],
}

impl Client {
    /// The status and the body of the answer.
    fn ask(&mut self, request: &[u8]) -> (&str, &str) {
        self.stream.write_all(request).unwrap();
        let mut read = 0;
        loop {
            read += self.stream.read(&mut self.buffer[read..]).unwrap();
            let text = str::from_utf8(&self.buffer[..read]).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                break;
            }
        }
        let (head, body) = str::from_utf8(&self.buffer[..read]).unwrap().split_once("\r\n\r\n").unwrap();
        (&head[9..12], body)
    }

    fn post(&mut self, path: &str, body: &Value) -> (&str, &str) {
        let body = body.to_string();
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n");
        self.ask(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
    }
}

/// A result, because the service writes panics to its own log.
#[test]
fn request_makes_no_more_allocations_than_the_golden_file_says() -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let (address, _stop) = in_process::start(&folder);
    let mut client = Client { stream: TcpStream::connect(address).unwrap(), buffer: [0; 16 * 1024] };
    let credentials = json!({ "email": "ann@example.com", "password": "a fine password" });
    let user = json!({ "email": "ann@example.com", "password": "a fine password", "name": "Ann" });
    // The first may come before the store is migrated.
    while client.post("/api/v1/users", &user).0 != "201" {
        thread::yield_now();
    }
    let (_, grant) = client.post("/api/v1/auth/sign-in", &credentials);
    let grant: Value = serde_json::from_str(grant).unwrap();
    let token = grant["access_token"].as_str().unwrap();
    let request = format!("GET /api/v1/users/me HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
    let mut ask = || {
        for _ in 0..REQUESTS {
            assert_eq!(client.ask(request.as_bytes()).0, "200");
        }
    };
    ask();
    let before = allocations();
    ask();
    let made = (allocations() - before) / u64::from(REQUESTS);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/allocations.txt");
    let text = |made| format!("read own account, on SQLite: {made} allocations\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text(made)).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    let kept: u64 = kept.split(' ').find_map(|word| word.parse().ok()).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a request makes fewer than 2^52 allocations")]
    let is_within = made > 0 && made as f64 <= kept as f64 * TOLERANCE;
    is_within.then_some(()).ok_or_else(|| {
        format!("{made} allocations, where it was {kept}; if that is meant, UPDATE_GOLDEN=1 writes it anew")
    })
}
