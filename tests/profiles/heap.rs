//! What holds the memory: sampled while somebody wants it, found by the name of the function that asked for it.

use std::{io::Read, sync::LazyLock, time::Duration};

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    go,
    support::{Engine, Service, eventually},
};

/// There is one allocator in the process.
static ALLOCATOR: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

const MIB: usize = 1 << 20;
const MIB_F: f64 = 1_048_576.0;

/// A service in a process whose sampling is off, and stays so until this test says otherwise.
struct Sampled {
    service: Service,
    _alone: MutexGuard<'static, ()>,
}

impl Sampled {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(settings: &[(&str, &str)]) -> Self {
        let alone = ALLOCATOR.lock().await;
        let service = Service::start_with(Engine::Sqlite, settings).await;
        Self { service, _alone: alone }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.service.internal)
    }

    async fn switch(&self, method: Method, query: &str) -> Value {
        let reply = reqwest::Client::new().request(method, self.url("/debug/heap") + query).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.json().await.unwrap()
    }

    async fn on(&self) {
        assert_eq!(self.switch(Method::PUT, "").await["sampling"], true);
    }

    async fn off(self) {
        assert_eq!(self.switch(Method::DELETE, "").await["sampling"], false);
    }

    async fn text(&self, path: &str) -> String {
        let reply = self.service.internal(path).await;
        assert_eq!(reply.status(), 200, "{path}");
        reply.text().await.unwrap()
    }
}

/// The guilty one.
#[inline(never)]
fn a_list_that_nobody_empties(mebibytes: usize) -> Vec<Vec<u8>> {
    (0..mebibytes).map(|_| Vec::with_capacity(MIB)).collect()
}

fn assert_about(mebibytes: f64, expected: f64) {
    // One in seven of the pieces is not sampled, and each of the others counts for one and a seventh.
    assert!((mebibytes - expected).abs() < expected * 0.25, "{mebibytes} MiB, not about {expected}");
}

/// What `GET …?debug=1` says of a function, in MiB: what it holds together with what it calls.
fn of_text(text: &str, function: &str) -> f64 {
    go::number(text, function, 2, "") / MIB_F
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leak_is_found_by_the_name_of_its_function() {
    let sampled = Sampled::start().await;
    sampled.on().await;
    let leaked = a_list_that_nobody_empties(256);

    let options = ["-top", "-cum", "-unit=MB", "-sample_index=inuse_space"];
    let top = go::pprof(&options, &sampled.url("/debug/pprof/heap?gc=1")).await;
    assert_about(go::number(&top, "a_list_that_nobody_empties", 3, "MB"), 256.0);
    let without_choosing = go::pprof(&["-top", "-cum"], &sampled.url("/debug/pprof/heap")).await;
    assert!(without_choosing.contains("Type: inuse_space"), "{without_choosing}");
    let objects = ["-top", "-cum", "-sample_index=inuse_objects"];
    let top = go::pprof(&objects, &sampled.url("/debug/pprof/heap")).await;
    assert_about(go::number(&top, "a_list_that_nobody_empties", 3, ""), 256.0);

    let text = sampled.text("/debug/pprof/heap?debug=1").await;
    println!("{text}");
    assert_about(of_text(&text, "a_list_that_nobody_empties"), 256.0);
    assert_eq!(text.contains("prof_backtrace"), false, "{text}");
    let svg = sampled.text("/debug/pprof/heap?format=svg").await;
    assert!(svg.contains("<svg") && svg.contains("a_list_that_nobody_empties"));
    drop(leaked);

    let text = sampled.text("/debug/pprof/heap?format=text").await;
    assert!(!text.contains("a_list_that_nobody_empties"), "it holds nothing any more: {text}");
    let text = sampled.text("/debug/pprof/allocs?debug=1").await;
    assert_about(of_text(&text, "a_list_that_nobody_empties"), 256.0);
    let top = go::pprof(&["-top", "-cum", "-unit=MB"], &sampled.url("/debug/pprof/allocs")).await;
    assert!(top.contains("Type: alloc_space"), "{top}");
    assert_about(go::number(&top, "a_list_that_nobody_empties", 3, "MB"), 256.0);
    sampled.off().await;
}
