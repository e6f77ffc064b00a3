//! The guide "profiling", pasted at a service that is hot, slow, leaking and stuck at once: each section names its fault.

use std::{
    fs,
    hint::black_box,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use glasshouse::telemetry::{spawn, tasks::spawn_on};
use tempfile::TempDir;
use tokio::{task::yield_now, time::interval};

use crate::{
    page::{Place, sections},
    support::{Engine, Service, eventually},
};

/// What each command of a section must show, in their order.
const SHOWN: &[(&str, &[&str])] = &[
    ("Hot", &["burn_the_processor", "burn_the_processor", "burn_the_processor"]),
    ("Slow", &["wait_in_vain", "/api/v1/users/me"]),
    ("Leaking memory", &["on", "keep_for_ever", "keep_for_ever", "keep_for_ever"]),
    ("Leaking tasks", &["wait_in_vain"]),
    ("Stuck", &["hold_the_worker", "blocked on a lock"]),
    ("More of what it says", &["glasshouse=debug", "traceEvents"]),
];

/// How often something is kept before a profile is asked for: 20 MiB.
const LEAKED: usize = 80;

#[inline(never)]
fn burn_the_processor() -> u64 {
    (0..200_000_u64).fold(1, |sum, number| black_box(sum.wrapping_mul(31) ^ number))
}

#[inline(never)]
fn keep_for_ever(kept: &Mutex<Vec<Vec<u8>>>) {
    kept.lock().unwrap().push(black_box(vec![1; 256 * 1024]));
}

async fn wait_in_vain() {
    tokio::sync::Notify::new().notified().await;
}

#[inline(never)]
fn hold_the_worker(until: &Receiver<()>) {
    until.recv().ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_guide_names_the_fault_that_it_is_for() {
    let service = Service::start_with(Engine::Sqlite, &[("GLASSHOUSE_RUNTIME__WORKERS", "4")]).await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (let_go, held) = channel();
    let (holding, begun) = tokio::sync::oneshot::channel();
    let stuck = async move {
        holding.send(()).unwrap();
        hold_the_worker(&held);
    };
    drop(spawn_on(&service.main, "blocked on a lock", stuck));
    // What has just given way to others on the same worker would be held too.
    begun.await.unwrap();
    {
        let _main = service.main.enter();
        drop(spawn("hot", async {
            loop {
                black_box(burn_the_processor());
                yield_now().await;
            }
        }));
        let kept = Arc::clone(&kept);
        drop(spawn("leaking", async move {
            let mut ticks = interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                keep_for_ever(&kept);
            }
        }));
        for _ in 0..20 {
            drop(spawn("forgotten", wait_in_vain()));
        }
    }
    let (client, address) = (reqwest::Client::new(), service.public);
    let asking = spawn("asking", async move {
        loop {
            drop(client.get(format!("http://{address}/api/v1/users/me")).send().await);
        }
    });

    let sections = sections("profiling");
    let with_commands = sections.iter().filter(|section| !section.commands.is_empty());
    let headings: Vec<_> = with_commands.map(|section| section.heading.as_str()).collect();
    assert_eq!(headings, SHOWN.iter().map(|(heading, _)| *heading).collect::<Vec<_>>());
    for (heading, shown) in SHOWN {
        let section = sections.iter().find(|section| section.heading == *heading).unwrap();
        assert_eq!(section.commands.len(), shown.len(), "{heading}: each command shows something");
        for (command, shown) in section.commands.iter().zip(*shown) {
            let folder = TempDir::new().unwrap();
            let place = Place::new(folder.path(), service.internal, service.public);
            let output = place.paste(command).await;
            let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
            let written: Vec<_> = files.filter(|file| file.is_file()).map(|file| fs::read(file).unwrap()).collect();
            let said = [&[output.stdout][..], &written].concat().concat();
            let said = String::from_utf8_lossy(&said);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}\n{said}\n{complaint}");
            assert!(said.contains(shown), "{command}\ndoes not show {shown}:\n{said}\n{complaint}");
            if command.contains("-X PUT") && heading.contains("memory") {
                // The page says to wait for traffic: here until there is far more than the sampling may overlook.
                let before = kept.lock().unwrap().len();
                let enough = || (kept.lock().unwrap().len() > before + LEAKED).then_some(());
                eventually("enough has leaked", async || enough()).await;
            }
        }
    }
    asking.abort();
    drop(let_go);
}
