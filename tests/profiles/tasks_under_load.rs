//! Task dumps of a service that has its hands full: they end, and leave nothing behind.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use glasshouse::telemetry::tasks::{self, alive, spawn_on};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    stalls::alone,
    support::{Service, eventually},
    tasks::dump,
};

const RUNNABLE: usize = 3_000;
const CONNECTIONS: usize = 256;
const DUMPS: usize = 12;

/// Asks again and again on one connection, and counts the answers.
async fn ask_for_ever(address: std::net::SocketAddr, answered: Arc<AtomicUsize>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = vec![0; 4096];
    loop {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        answered.fetch_add(1, Relaxed);
    }
}

/// Both workers always have thousands of tasks that are ready: tokio's own dump never returns from this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_dumps_of_many_busy_tasks_end_and_nobody_notices() {
    // Whoever measures how late a worker is must not measure this.
    let _alone = alone().await;
    let service = Service::start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..RUNNABLE)
        .map(|_| {
            let stop = Arc::clone(&stop);
            spawn_on(&service.main, "busy", async move {
                while !stop.load(Relaxed) {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(ask_for_ever(service.public, Arc::clone(&answered)));
    }
    let runtimes = [service.main.id()];
    let connected = || alive().iter().filter(|task| task.name == "connection" && task.runtime == runtimes[0]).count();
    eventually("everybody is connected", async || (connected() >= CONNECTIONS).then_some(())).await;
    for round in 0..DUMPS {
        let before = answered.load(Relaxed);
        let began = Instant::now();
        let found = tasks::dump(&runtimes).await.found;
        assert!(began.elapsed() < Duration::from_secs(5), "round {round}: {:?}", began.elapsed());
        assert!(found.len() >= RUNNABLE + CONNECTIONS, "round {round}: {}", found.len());
        let waiting = |found: &&tasks::Found| matches!(&found.state, tasks::State::Waiting(at) if !at.is_empty());
        // On a machine that is busy with something else too, some may not be reached in time.
        let reached = found.iter().filter(waiting).count();
        assert!(reached > found.len() / 2, "round {round}: {reached} of {}", found.len());
        eventually("requests are answered", async || (answered.load(Relaxed) > before).then_some(())).await;
        assert!(clients.try_join_next().is_none(), "a client saw something that is no answer");
    }
    let text = dump(&service, "debug=1").await;
    assert!(text.contains("\"task\":\"busy\", \"state\":\"waiting\"") && text.contains("yield_now"), "{text}");
    stop.store(true, Relaxed);
    for task in busy {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_dump_leaves_nothing_behind() {
    let service = Service::start().await;
    let held = Arc::new(());
    let task = {
        let held = Arc::clone(&held);
        spawn_on(&service.main, "holder", async move {
            std::future::pending::<()>().await;
            drop(held);
        })
    };
    assert!(dump(&service, "debug=2").await.contains("holder"));
    let known = alive().into_iter().find(|task| task.name == "holder").unwrap();
    // Other tests look at the list meanwhile, and hold what is in it for a moment.
    let is_held_by = async |holders| (Arc::strong_count(&known) == holders).then_some(());
    eventually("it is held by the task, the list, and this test", async || is_held_by(3).await).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    eventually("it is held by this test", async || is_held_by(1).await).await;
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(!dump(&service, "debug=2").await.contains("holder"));
}
