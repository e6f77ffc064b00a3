//! The memory that diagnostics take: tools of every kind at once, under load, at the smallest limit that the runbook names.
//!
//! Two checks hold the limit. The memory of the process itself is sampled, which works everywhere. Where control groups can
//! be made, the process also runs in one with that limit, so the kernel would end it.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::program::{Program, exchange, get, post, until};

/// The smallest limit at which the runbook promises that tools answer under load.
const LIMIT: u64 = 96 * 1024 * 1024;
/// What the process may take itself, so that pages of the executable have room: three fifths more than was measured.
const MAX_ANONYMOUS_BYTES: u64 = 64 * 1024 * 1024;

/// A control group with a memory limit; removed when dropped.
struct ControlGroup {
    folder: PathBuf,
    is_v2: bool,
}

impl ControlGroup {
    /// Makes one, of either version. `None` where this user may not.
    fn create(limit: u64) -> Option<Self> {
        let is_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let root = Path::new(if is_v2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/memory" });
        if is_v2 {
            fs::write(root.join("cgroup.subtree_control"), "+memory").ok()?;
        }
        let group = Self { folder: root.join(format!("glasshouse-test-{}", std::process::id())), is_v2 };
        fs::create_dir(&group.folder).ok()?;
        let (memory, swap) = if is_v2 {
            ("memory.max", ("memory.swap.max", 0))
        } else {
            ("memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", limit))
        };
        // A kernel without accounting of swap has no such file.
        let limited = fs::write(group.folder.join(memory), limit.to_string());
        fs::write(group.folder.join(swap.0), swap.1.to_string()).ok();
        limited.ok().map(|()| group)
    }

    /// How many processes the kernel has ended in it.
    fn kills(&self) -> u64 {
        let file = self.folder.join(if self.is_v2 { "memory.events" } else { "memory.oom_control" });
        let text = fs::read_to_string(file).unwrap();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap().trim().parse().unwrap()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // The process has ended, but the kernel may still count it.
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::remove_dir(&self.folder).is_err() && self.folder.exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The memory that the kernel cannot take back from the process; zero after its end.
fn anonymous_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.map_or(0, |line| line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024)
}

/// Sends a request and reads the response to its end. `None` if the connection is refused or closed.
fn status(address: SocketAddr, request: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_mins(2))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).ok()?;
    String::from_utf8_lossy(&response).split(' ').nth(1)?.parse().ok()
}

/// Repeats the request until it is answered with 200, while the tool has no turn or too little memory is left.
fn ask(address: SocketAddr, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let deadline = Instant::now() + Duration::from_mins(4);
    loop {
        match status(address, &request) {
            Some(200) => return,
            Some(409 | 503 | 507) if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// Hashes passwords, 19 MiB each, until the tools have answered.
fn sign_in_repeatedly(public: SocketAddr, is_over: &AtomicBool) {
    let mut number = 0;
    while !is_over.load(Relaxed) {
        number += 1;
        let body = json!({"email": format!("user{number}@example.com"), "password": "correct horse battery"});
        exchange(public, &post("/api/v1/auth/sign-in", &body));
    }
}

#[test]
fn tools_of_every_kind_at_once_stay_within_memory_limit() {
    const TOOLS: [&str; 13] = [
        "/debug/pprof/profile?seconds=1",
        "/debug/pprof/profile?seconds=1&format=svg",
        "/debug/pprof/profile?seconds=1&format=text",
        "/debug/pprof/heap",
        "/debug/pprof/heap?format=svg",
        "/debug/pprof/heap?seconds=1",
        "/debug/pprof/allocs",
        "/debug/pprof/goroutine",
        "/debug/pprof/goroutine?debug=2",
        "/debug/pprof/threadcreate",
        "/debug/pprof/trace?seconds=1",
        "/debug/stalls",
        "/metrics",
    ];
    let group = ControlGroup::create(LIMIT);
    let settings = [("GLASSHOUSE_INTERNAL__HEAP_SAMPLING", "true"), ("GLASSHOUSE_AUTH__PASSWORD_WORKERS", "1")];
    let program = match &group {
        Some(group) => {
            let folder = group.folder.to_str().unwrap();
            Program::start_by(&["sh", "-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$1\"", folder], &settings)
        }
        None => Program::start(&settings),
    };
    let (process, public, internal) = (program.id(), program.public, program.internal);
    let symbol = format!("/debug/pprof/symbol?{}", addresses_of_code(process));
    let (is_over, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                peak.fetch_max(anonymous_bytes(process), Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| sign_in_repeatedly(public, &is_over));
        }
        let paths = TOOLS.into_iter().chain([symbol.as_str()]);
        let tools: Vec<_> = paths.map(|path| scope.spawn(move || ask(internal, path))).collect();
        program.signal("QUIT");
        // A scope waits for its threads, so the others must end before the failure of a tool is reported.
        let answers: Vec<_> = tools.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Relaxed);
        assert!(answers.iter().all(Result::is_ok), "a tool gave no answer");
    });
    until("the dump is logged", || program.lines().iter().any(|(_, line)| line["message"] == "task dump"));
    assert_eq!(get(internal, "/health/ready").map(|(status, _)| status), Some(200));
    let peak = peak.into_inner();
    assert!((1 << 20..MAX_ANONYMOUS_BYTES).contains(&peak), "{peak} bytes at the peak");
    assert_eq!(group.as_ref().map_or(0, ControlGroup::kills), 0);
}

/// The addresses of 2000 places all over the code of the executable, joined by `+`.
fn addresses_of_code(process: u32) -> String {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let code = maps.lines().find(|line| line.contains(" r-xp ") && line.ends_with("/glasshouse")).unwrap();
    let (begin, end) = code.split(' ').next().unwrap().split_once('-').unwrap();
    let [begin, end] = [begin, end].map(|number| u64::from_str_radix(number, 16).unwrap());
    let step = (end - begin) / 2000;
    let addresses: Vec<String> = (0..2000).map(|index| format!("{:#x}", begin + index * step)).collect();
    addresses.join("+")
}
