//! Code that does not come back is named by the internal port and by the log, whatever it is stuck in; code that may
//! take its time is not.

use std::{
    hint::black_box,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
};

use glasshouse::telemetry;
use serde_json::Value;
use tokio::sync::MutexGuard;

use crate::support::{Engine, Service, eventually};

/// How soon the tests want to know. What a busy machine takes from a worker must not be taken for a stall too often.
const AFTER: &[(&str, &str)] = &[("GLASSHOUSE_INTERNAL__STALL_AFTER", "500ms")];

/// The name of each task that is put beside the service's own.
const GUILTY: &str = "till";

/// One test at a time: names for a stack cost a core for seconds, and no worker may be late because of that.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static LOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    LOCK.lock().await
}

/// Keeps guilty code stuck until it is dropped.
type Hold = Box<dyn Send>;
type Work = Box<dyn FnOnce() + Send>;

#[inline(never)]
fn waits_for_a_message(messages: &mpsc::Receiver<()>) {
    black_box(messages.recv()).ok();
}

#[inline(never)]
fn waits_for_a_lock(lock: &Mutex<()>) {
    drop(black_box(lock.lock()));
}

#[inline(never)]
fn goes_round_and_round(stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        for number in 0..100_000 {
            black_box(number);
        }
        // Others build on this machine, and the watcher wants a core too.
        std::thread::yield_now();
    }
}

/// Blocks on a channel to which nobody writes.
fn blocking(count: usize) -> (Vec<Work>, Hold) {
    let (senders, receivers): (Vec<mpsc::Sender<()>>, Vec<_>) = (0..count).map(|_| mpsc::channel()).unzip();
    let works = receivers.into_iter().map(|messages| Box::new(move || waits_for_a_message(&messages)) as Work);
    (works.collect(), Box::new(senders))
}

/// Waits for a lock that a thread keeps which waits for the test.
fn locked(count: usize) -> (Vec<Work>, Hold) {
    let lock = Arc::new(Mutex::new(()));
    let (hold, let_go) = mpsc::channel::<()>();
    let (locks, is_locked) = mpsc::channel();
    let kept = Arc::clone(&lock);
    std::thread::spawn(move || {
        let _guard = kept.lock();
        locks.send(()).unwrap();
        let_go.recv().ok();
    });
    is_locked.recv().unwrap();
    let work = || {
        let lock = Arc::clone(&lock);
        Box::new(move || waits_for_a_lock(&lock)) as Work
    };
    ((0..count).map(|_| work()).collect(), Box::new(hold))
}

/// Never ends by itself.
fn endless(count: usize) -> (Vec<Work>, Hold) {
    struct Stop(Arc<AtomicBool>);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let work = || {
        let stop = Arc::clone(&stop);
        Box::new(move || goes_round_and_round(&stop)) as Work
    };
    ((0..count).map(|_| work()).collect(), Box::new(Stop(stop)))
}

/// Begins tasks of the service; says from which line.
fn put(service: &Service, works: Vec<Work>) -> String {
    let _main = service.main.enter();
    for work in works {
        drop(telemetry::spawn(GUILTY, async move { work() }));
    }
    format!("{}:{}:", file!(), line!() - 2)
}

async fn shown(service: &Service) -> Value {
    service.ask("/debug/stalls").header("accept", "application/json").send().await.unwrap().json().await.unwrap()
}

/// The stalls that are about our tasks: a machine with too much to do may make others.
async fn guilty(service: &Service) -> Vec<Value> {
    let shown = shown(service).await;
    let stalls = shown["stalls"].as_array().unwrap().iter();
    stalls.filter(|stall| stall["task"]["name"] == GUILTY).cloned().collect()
}

/// The lines that such stalls left in the log at this level.
fn told(service: &Service, level: &str) -> Vec<Value> {
    let lines = service.lines().into_iter();
    lines.filter(|line| line["level"] == level && line["task.name"] == GUILTY).collect()
}

/// How many there have been, whatever they are about.
async fn stalls(service: &Service) -> Option<f64> {
    service.metric("tokio_runtime_stalls_total{runtime=\"main\"}").await
}

async fn stalled(service: &Service) -> bool {
    service.metric("tokio_runtime_stalled{runtime=\"main\"}").await == Some(1.0)
}

/// Waits until the watcher has looked so many times more: it asks the runtime each time, while that works.
async fn looks(service: &Service, count: f64) {
    let looks = async || {
        assert_eq!(service.client().get("/health/live").await.status, 200);
        service.metric("tokio_runtime_scheduling_delay_seconds_count{runtime=\"main\"}").await.unwrap()
    };
    let first = looks().await;
    eventually("the watcher goes on", async || (looks().await >= first + count).then_some(())).await;
}

/// Puts guilty code on some of the two workers, and lets it go when it has been named.
async fn is_named(guilty_code: fn(usize) -> (Vec<Work>, Hold), name: &str, workers: usize) {
    let _alone = alone().await;
    let service = Service::start_with(Engine::Sqlite, AFTER).await;
    let (works, hold) = guilty_code(workers);
    let spawned_at = put(&service, works);
    let stalls = eventually("each of them is found", async || {
        let stalls = guilty(&service).await;
        (stalls.len() == workers).then_some(stalls)
    })
    .await;
    let page = service.internal("/debug/stalls").await.text().await.unwrap();
    for stall in &stalls {
        assert_eq!(stall["over"], false, "{stall:#}");
        assert!(stall["task"]["spawned_at"].as_str().unwrap().starts_with(&spawned_at), "{stall:#}, {spawned_at}");
        let thread = &stall["threads"][0];
        let code = thread["code"].as_str().unwrap();
        assert!(code.ends_with(&format!("stalls::{name}")), "{stall:#}");
        let stack = thread["stack"].as_array().unwrap();
        assert!(stack.iter().any(|frame| frame["function"] == code), "{stall:#}");
        let whole = stack.iter().any(|frame| frame["function"].as_str().unwrap().contains("thread_start"));
        assert!(whole && thread["cut"] == false, "{stall:#}");
        assert!(page.contains(&format!("\nthread  main ({})\ncode    {code}\n", thread["id"])), "{page}");
    }
    assert!(page.contains(&format!("\ntask    {GUILTY} (number ")) && page.contains(&spawned_at), "{page}");
    assert!(page.contains(" stuck until now for "), "{page}");
    for path in ["/", "/metrics", "/health/live", "/debug/log", "/debug/stalls"] {
        assert_eq!(service.internal(path).await.status(), 200, "{path}");
    }
    assert!(stalled(&service).await);
    drop(hold);
    eventually("the metric comes back", async || (!stalled(&service).await).then_some(())).await;
    let over = guilty(&service).await;
    assert!(over.len() == workers && over.iter().all(|stall| stall["over"] == true), "{over:#?}");
    looks(&service, 3.0).await;
    eventually("their ends are told", async || (told(&service, "INFO").len() == workers).then_some(())).await;
    let warnings = told(&service, "WARN");
    assert_eq!(warnings.len(), workers, "{warnings:#?}");
    for line in warnings {
        assert!(line["code.function.name"].as_str().unwrap().ends_with(name), "{line:#}");
        assert!(line["task.spawned_at"].as_str().unwrap().starts_with(&spawned_at), "{line:#}");
        assert!(line["stall.seconds"].as_f64().unwrap() >= 0.5, "{line:#}");
        assert_eq!(line["thread.name"], "main");
        let stall = over.iter().find(|stall| stall["id"] == line["stall.id"]).unwrap();
        assert_eq!(line["thread.id"], stall["threads"][0]["id"].to_string());
    }
}

#[tokio::test]
async fn a_task_that_blocks_one_worker_is_named() {
    is_named(blocking, "waits_for_a_message", 1).await;
}

#[tokio::test]
async fn tasks_that_block_all_workers_are_named() {
    is_named(blocking, "waits_for_a_message", 2).await;
}

#[tokio::test]
async fn a_task_that_waits_for_a_lock_is_named() {
    is_named(locked, "waits_for_a_lock", 1).await;
}

#[tokio::test]
async fn tasks_that_wait_for_a_lock_on_all_workers_are_named() {
    is_named(locked, "waits_for_a_lock", 2).await;
}

#[tokio::test]
async fn an_endless_loop_is_named() {
    is_named(endless, "goes_round_and_round", 1).await;
}

#[tokio::test]
async fn endless_loops_on_all_workers_are_named() {
    is_named(endless, "goes_round_and_round", 2).await;
}

#[inline(never)]
fn takes_the_other_lock(own: &Mutex<()>, both_have_one: &Barrier, other: &Mutex<()>) {
    let _own = own.lock();
    both_have_one.wait();
    drop(black_box(other.lock()));
}

/// Its two workers stay where they are until the process ends.
#[tokio::test]
async fn two_tasks_in_a_deadlock_are_both_named() {
    let _alone = alone().await;
    let service = Service::start_with(Engine::Sqlite, AFTER).await;
    let (one, other, barrier) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())), Arc::new(Barrier::new(2)));
    let (one_too, other_too, barrier_too) = (Arc::clone(&one), Arc::clone(&other), Arc::clone(&barrier));
    put(
        &service,
        vec![
            Box::new(move || takes_the_other_lock(&one, &barrier, &other)),
            Box::new(move || takes_the_other_lock(&other_too, &barrier_too, &one_too)),
        ],
    );
    eventually("both are found", async || {
        let stalls = guilty(&service).await;
        let code = |stall: &Value| stall["threads"][0]["code"].as_str().unwrap().to_owned();
        (stalls.len() == 2 && stalls.iter().all(|stall| code(stall).ends_with("takes_the_other_lock"))).then_some(())
    })
    .await;
    eventually("both are told", async || (told(&service, "WARN").len() == 2).then_some(())).await;
}

/// What was not begun with our `spawn` is known to nobody but tokio; it is seen all the same when nothing else runs.
#[tokio::test]
async fn a_runtime_that_foreign_tasks_keep_is_a_stall_of_all_its_workers() {
    let _alone = alone().await;
    let service = Service::start_with(Engine::Sqlite, AFTER).await;
    let (works, hold) = blocking(2);
    for work in works {
        drop(service.main.spawn(async move { work() }));
    }
    let silence = async || {
        let shown = shown(&service).await;
        shown["stalls"].as_array().unwrap().iter().find(|stall| stall["task"].is_null()).cloned()
    };
    let stall = eventually("the silence is found", silence).await;
    let threads = stall["threads"].as_array().unwrap();
    assert_eq!(threads.len(), 2, "{stall:#}");
    for thread in threads {
        assert!(thread["code"].as_str().unwrap().ends_with("waits_for_a_message"), "{stall:#}");
    }
    assert!(stalled(&service).await);
    drop(hold);
    eventually("the metric comes back", async || (!stalled(&service).await).then_some(())).await;
    let told = service.lines().into_iter().filter(|line| line["stall.id"] == stall["id"] && line["level"] == "WARN");
    assert_eq!(told.count(), 1);
    assert_eq!(silence().await.unwrap()["over"], true);
}

#[tokio::test]
async fn a_healthy_service_under_load_has_no_stall() {
    let _alone = alone().await;
    let service = Service::start().await;
    let load = futures_util::future::join_all((0..4).map(|number| {
        let service = &service;
        async move {
            let email = format!("ann{number}@example.com");
            let ann = service.client().joined(&email).await;
            for _ in 0..50 {
                assert_eq!(ann.client.me().await.status, 200);
            }
        }
    }));
    futures_util::future::join(load, looks(&service, 20.0)).await;
    assert_eq!(stalls(&service).await, Some(0.0));
    assert_eq!(shown(&service).await["stalls"], Value::Array(Vec::new()));
    let page = service.internal("/debug/stalls").await.text().await.unwrap();
    assert_eq!(page, "The main runtime has not been stuck since the process started.\n");
}

#[tokio::test]
async fn a_task_that_is_busy_but_yields_is_no_stall() {
    let _alone = alone().await;
    let service = Service::start().await;
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let _main = service.main.enter();
        let stop = Arc::clone(&stop);
        drop(telemetry::spawn(GUILTY, async move {
            while !stop.load(Relaxed) {
                for number in 0..10_000 {
                    black_box(number);
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    looks(&service, 20.0).await;
    assert_eq!(stalls(&service).await, Some(0.0));
    stop.store(true, Relaxed);
}

#[tokio::test]
async fn code_that_may_block_is_no_stall() {
    let _alone = alone().await;
    let service = Service::start().await;
    let (mut works, hold) = blocking(4);
    let _main = service.main.enter();
    for work in works.drain(..2) {
        drop(telemetry::spawn(GUILTY, async move { tokio::task::block_in_place(work) }));
    }
    for work in works {
        drop(telemetry::spawn(GUILTY, async move { tokio::task::spawn_blocking(work).await }));
    }
    looks(&service, 20.0).await;
    assert_eq!(stalls(&service).await, Some(0.0));
    drop(hold);
}

#[tokio::test]
async fn a_hundred_stalls_leave_a_short_list_and_few_lines_and_are_counted() {
    let _alone = alone().await;
    let settings = [("GLASSHOUSE_RUNTIME__WORKERS", "100"), AFTER[0]];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let (works, hold) = blocking(100);
    put(&service, works);
    eventually("all are counted", async || stalls(&service).await.filter(|stalls| *stalls >= 100.0)).await;
    eventually("some are told", async || (told(&service, "WARN").len() == 10).then_some(())).await;
    assert_eq!(shown(&service).await["stalls"].as_array().unwrap().len(), 8);
    drop(hold);
    eventually("the metric comes back", async || (!stalled(&service).await).then_some(())).await;
    let uncaptured = service.metric("tokio_runtime_stalls_uncaptured_total{runtime=\"main\"}").await;
    assert!(uncaptured.unwrap() >= 90.0, "{uncaptured:?}");
    assert!(shown(&service).await["since_start"].as_u64().unwrap() >= 100);
    assert_eq!(told(&service, "WARN").len(), 10);
}
