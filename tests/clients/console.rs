//! tokio-console on the internal port: the real program in a terminal, and clients of our own where it cannot be asked.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use console_api::{
    instrument::{InstrumentRequest, StateRequest, Update, instrument_client::InstrumentClient},
    tasks::Stats,
};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tonic::{Code, Streaming, transport::Channel};

use crate::{
    support::{Engine, Service, eventually},
    tool,
};

/// Memory is the whole process's: a test that takes much of it would switch off the consoles of the others.
static MEMORY: Mutex<()> = Mutex::const_new(());

async fn alone() -> MutexGuard<'static, ()> {
    MEMORY.lock().await
}

async fn is_on(service: &Service) -> bool {
    service.metric("glasshouse_console_on").await.unwrap() > 0.5
}

async fn goes_off(service: &Service) {
    eventually("it is off again", async || (!is_on(service).await).then_some(())).await;
}

/// tokio-console in a terminal.
struct Terminal {
    python: Child,
    screen: Vec<String>,
}

impl Terminal {
    /// Waits until all of these stand on its screen.
    async fn showing(service: &Service, words: &str) -> Self {
        let console = tool::program("tokio-console");
        let url = format!("http://{}", service.internal);
        let mut command: Command = tool::python("screen.py", &["60", words]);
        command.arg(console).args(["--lang", "en_US.UTF-8", &url]);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut python = pipes.spawn().unwrap();
        let mut said = BufReader::new(python.stdout.take().unwrap());
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            line
        });
        let said: Value = serde_json::from_str(&line.await.unwrap()).unwrap();
        let screen: Vec<String> = serde_json::from_value(said["screen"].clone()).unwrap();
        assert_eq!(said["seen"], true, "not all of {words} on:\n{}", screen.join("\n"));
        Self { python, screen }
    }

    /// Presses `q`.
    async fn quit(mut self) {
        drop(self.python.stdin.take());
        let ended = tokio::task::spawn_blocking(move || self.python.wait().unwrap()).await.unwrap();
        assert!(ended.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_console_lists_tasks_by_name_and_is_switched_on_and_off_by_looking() {
    let _alone = alone().await;
    let service = Service::start().await;
    assert!(!is_on(&service).await);
    let asking = async {
        eventually("it is on", async || is_on(&service).await.then_some(())).await;
        let _unseen = reqwest::Client::new().get(format!("http://{}/", service.internal)).send().await.unwrap();
        // A connection that is made while it looks; those from before it never hears of.
        let _kept = reqwest::Client::new().get(service.client().url("/health/live")).send().await.unwrap();
        std::future::pending::<()>().await;
    };
    let terminal = tokio::select! {
        terminal = Terminal::showing(&service, "connection,src/http/server/mod.rs") => terminal,
        () = asking => unreachable!(),
    };
    let named = |word: &str| terminal.screen.iter().any(|line| line.contains(word));
    assert!(!named("acceptor"), "it lives longer than the console was on:\n{}", terminal.screen.join("\n"));
    assert!(!named("internal connection"), "the one who looks sees itself:\n{}", terminal.screen.join("\n"));
    assert!(is_on(&service).await);
    terminal.quit().await;
    goes_off(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_from_the_start_it_knows_the_tasks_that_live_as_long_as_the_service() {
    let _alone = alone().await;
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_INTERNAL__CONSOLE", "true")]).await;
    assert!(is_on(&service).await);
    let terminal = Terminal::showing(&service, "acceptor,worker").await;
    let has_lost = terminal.screen.iter().find(|line| line.contains("lost their wakers"));
    assert_eq!(has_lost, None, "{}", terminal.screen.join("\n"));
    terminal.quit().await;
    assert!(is_on(&service).await, "the setting keeps it on");
}

/// A client that looks, as tokio-console does.
struct Looking {
    client: InstrumentClient<Channel>,
    updates: Streaming<Update>,
}

impl Looking {
    /// Waits for the update from which it learns what there is to be told of: without that it understands none.
    async fn learns(&mut self) {
        loop {
            let update = self.updates.message().await.unwrap().unwrap();
            if update.new_metadata.is_some_and(|new| !new.metadata.is_empty()) {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_waiting_task_of_a_healthy_service_is_shown_without_a_waker() {
    let _alone = alone().await;
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_INTERNAL__CONSOLE", "true")]).await;
    let mut looking = look(&service).await.unwrap();
    let mut tasks = HashMap::new();
    let mut lost = Vec::new();
    for update in 1..=10 {
        tasks.extend(looking.updates.message().await.unwrap().unwrap().task_update.unwrap().stats_update);
        lost = tasks.values().filter(|task| has_lost_waker(task)).copied().collect();
        // The first update may come before any task, and each may show a task between two of its numbers.
        if update >= 3 && tasks.len() >= 5 && lost.is_empty() {
            return;
        }
    }
    panic!("{} tasks, of which these have lost their wakers: {lost:#?}", tasks.len());
}

/// Returns what tokio-console decides: the task has not ended, will not be polled, and has no waker left.
fn has_lost_waker(task: &Stats) -> bool {
    let polls = task.poll_stats.as_ref().unwrap();
    let started = polls.last_poll_started.map(|time| (time.seconds, time.nanos));
    let is_running = started > polls.last_poll_ended.map(|time| (time.seconds, time.nanos));
    let is_woken = polls.polls == 0 || task.last_wake.map(|time| (time.seconds, time.nanos)) > started;
    task.dropped_at.is_none() && !is_running && !is_woken && task.waker_clones <= task.waker_drops
}

async fn client(service: &Service) -> InstrumentClient<Channel> {
    InstrumentClient::connect(format!("http://{}", service.internal)).await.unwrap()
}

async fn look(service: &Service) -> Result<Looking, tonic::Status> {
    let mut client = client(service).await;
    let updates = client.watch_updates(InstrumentRequest {}).await?.into_inner();
    Ok(Looking { client, updates })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_on_only_while_somebody_looks_and_not_for_too_many() {
    let _alone = alone().await;
    let service = Service::start().await;
    let early = client(&service).await.watch_state(StateRequest {}).await.unwrap_err();
    assert_eq!(early.code(), Code::FailedPrecondition, "{early:?}");
    let mut looking = Vec::new();
    for _ in 0..3 {
        looking.push(look(&service).await.unwrap());
        assert!(is_on(&service).await);
    }
    let refused = look(&service).await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("3 consoles"), "{refused:?}");
    looking[0].learns().await;
    looking[0].client.watch_state(StateRequest {}).await.unwrap();

    looking.pop();
    eventually("there is a place again", async || look(&service).await.ok()).await;
    looking.truncate(1);
    assert!(is_on(&service).await, "one still looks");
    looking.clear();
    goes_off(&service).await;
    // A second time, from an empty memory.
    let mut again = look(&service).await.unwrap();
    again.learns().await;
    drop(again);
    goes_off(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_speak_grpc_switches_nothing_on() {
    let service = Service::start().await;
    let path = "/rs.tokio.console.instrument.Instrument/WatchUpdates";
    assert_eq!(service.internal(path).await.status(), 415);
    assert!(!is_on(&service).await);
    assert_eq!(service.internal("/rs.tokio.console.instrument.Instrument").await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_its_memory_it_switches_itself_off_and_says_so() {
    let _alone = alone().await;
    let service = Service::start().await;
    let mut looking = look(&service).await.unwrap();
    assert!(looking.updates.message().await.unwrap().is_some());
    // Address space alone counts as allocated, and costs nothing.
    let much = std::hint::black_box(Vec::<u8>::with_capacity(300 * 1024 * 1024));
    let ends = async { while let Ok(Some(_)) = looking.updates.message().await {} };
    tokio::time::timeout(Duration::from_secs(10), ends).await.expect("its stream ends");
    assert!(!is_on(&service).await, "its stream has ended, so it is off");
    drop(much);
    let series = "glasshouse_console_switched_off_total{reason=\"memory\"}";
    assert_eq!(service.metric(series).await, Some(1.0));
    let refused = look(&service).await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("memory"), "{refused:?}");
    let lines = service.stop().await.lines;
    let told = lines.iter().find(|line| line["console.limit"] == "memory").expect("it is logged");
    assert_eq!((&told["level"], &told["console.clients"]), (&"WARN".into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_tasks_is_left_out_and_counted_and_the_console_stays_on() {
    let _alone = alone().await;
    let service = Service::start().await;
    let mut looking = look(&service).await.unwrap();
    looking.learns().await;
    // Each would take 49 KB for ten seconds: two gigabytes in all.
    let storm = service.main.spawn(async {
        for _ in 0..40_000 {
            glasshouse::telemetry::spawn("storm", async {}).await.unwrap();
        }
    });
    let mut told = 0;
    while !storm.is_finished() {
        told += looking.updates.message().await.unwrap().unwrap().task_update.unwrap().new_tasks.len();
    }
    storm.await.unwrap();
    assert!((1..=2500).contains(&told), "{told}");
    let left_out = service.metric("glasshouse_console_left_out_total{kind=\"task\"}").await.unwrap();
    assert!(left_out > 30_000.0, "{left_out}");
    assert_eq!(service.metric("glasshouse_console_switched_off_total{reason=\"memory\"}").await, Some(0.0));
    assert!(is_on(&service).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_is_attached_does_not_hold_up_stopping() {
    let _alone = alone().await;
    let service = Service::start().await;
    let mut looking = look(&service).await.unwrap();
    let began = Instant::now();
    let (stopped, ()) =
        tokio::join!(service.stop(), async { while let Ok(Some(_)) = looking.updates.message().await {} });
    stopped.outcome.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
