//! What holds the memory: sampled while somebody wants it, found by the name of the function that asked for it.

use std::{sync::LazyLock, time::Duration};

use glasshouse::telemetry::spawn;
use reqwest::{Method, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    go,
    program::{Program, exchange, get},
    support::{Service, eventually},
};

/// There is one allocator in the process.
static ALLOCATOR: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// As large as a sample's interval: two in three of them are sampled.
const HALF_MIB: usize = 1 << 19;

/// A service in a process whose sampling is off, and stays so until this test says otherwise.
pub(crate) struct Sampled {
    pub(crate) service: Service,
    _alone: MutexGuard<'static, ()>,
}

impl Sampled {
    pub(crate) async fn start() -> Self {
        let alone = ALLOCATOR.lock().await;
        let sampled = Self { service: Service::start().await, _alone: alone };
        // A test that has failed may have left it on.
        sampled.switch(Method::DELETE, "").await;
        sampled
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.service.internal)
    }

    async fn get(&self, path: &str) -> Response {
        self.service.internal(path).await
    }

    async fn switch(&self, method: Method, query: &str) -> Value {
        let reply = reqwest::Client::new().request(method, self.url("/debug/heap") + query).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.json().await.unwrap()
    }

    pub(crate) async fn on(&self) {
        assert_eq!(self.switch(Method::PUT, "").await["sampling"], true);
    }

    pub(crate) async fn off(self) {
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
    (0..2 * mebibytes).map(|_| Vec::with_capacity(HALF_MIB)).collect()
}

fn assert_about(found: f64, expected: f64) {
    // Five times what the estimate strays by; without scaling to the whole a third of it would be missing.
    assert!((found - expected).abs() < expected * 0.25, "{found}, not about {expected}");
}

/// How many MiB the stack with that function holds, in a profile for a terminal.
fn of_text(text: &str, function: &str) -> f64 {
    let found = text.split("\n\n").find(|stack| stack.contains(function) && stack.contains("%) \n"));
    let stack = found.unwrap_or_else(|| panic!("no {function} in:\n{text}"));
    stack.split(' ').next().unwrap().parse::<f64>().unwrap() / 1_048_576.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leak_is_found_by_the_name_of_its_function() {
    let sampled = Sampled::start().await;
    sampled.on().await;
    let leaked = a_list_that_nobody_empties(256);

    let options = ["-top", "-cum", "-unit=MB", "-sample_index=inuse_space"];
    let top = go::pprof(&options, &sampled.url("/debug/pprof/heap?gc=1")).await;
    assert_about(go::number(&top, "a_list_that_nobody_empties", 3, "MB"), 256.0);
    let shown_first = go::pprof(&["-top", "-cum"], &sampled.url("/debug/pprof/heap")).await;
    assert!(shown_first.contains("Type: inuse_space"), "{shown_first}");
    let objects = ["-top", "-cum", "-sample_index=inuse_objects"];
    let top = go::pprof(&objects, &sampled.url("/debug/pprof/heap")).await;
    assert_about(go::number(&top, "a_list_that_nobody_empties", 3, ""), 512.0);

    let text = sampled.text("/debug/pprof/heap?debug=1").await;
    assert_about(of_text(&text, "a_list_that_nobody_empties"), 256.0);
    assert!(!text.contains("prof_backtrace") && !text.contains("__rust_alloc"), "the allocator is in it: {text}");
    assert!(text.contains("sampled since 20"), "{text}");
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

#[inline(never)]
fn what_was_there_before(mebibytes: usize) -> Vec<Vec<u8>> {
    (0..2 * mebibytes).map(|_| Vec::with_capacity(HALF_MIB)).collect()
}

#[inline(never)]
fn what_goes_in_between(mebibytes: usize) -> Vec<Vec<u8>> {
    (0..2 * mebibytes).map(|_| Vec::with_capacity(HALF_MIB)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_shows_only_what_came_and_went_in_between() {
    let sampled = Sampled::start().await;
    sampled.on().await;
    let (_before, going) = (what_was_there_before(128), what_goes_in_between(128));
    let url = sampled.url("/debug/pprof/heap?seconds=6");
    let mut pprof = spawn("client", async move { reqwest::get(url).await.unwrap().bytes().await.unwrap() });
    let url = sampled.url("/debug/pprof/heap?seconds=6&format=svg");
    let svg = spawn("client", async move { reqwest::get(url).await.unwrap().text().await.unwrap() });
    timeout(Duration::from_secs(3), &mut pprof).await.expect_err("it takes six seconds");
    drop(going);
    let _come = a_list_that_nobody_empties(128);
    let (pprof, svg) = (pprof.await.unwrap(), svg.await.unwrap());
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("heap-delta");
    std::fs::write(&file, pprof).unwrap();
    let top = go::pprof(&["-top", "-cum", "-unit=MB"], file.to_str().unwrap()).await;
    assert_about(go::number(&top, "a_list_that_nobody_empties", 3, "MB"), 128.0);
    assert_about(-go::number(&top, "what_goes_in_between", 3, "MB"), 128.0);
    assert!(!top.contains("what_was_there_before"), "{top}");
    assert!(svg.contains("a_list_that_nobody_empties"), "{svg}");
    assert!(!svg.contains("what_was_there_before") && !svg.contains("what_goes_in_between"));
    sampled.off().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_ends_its_difference() {
    let sampled = Sampled::start().await;
    sampled.on().await;
    let waiting = (0..5).map(|_| spawn("client", reqwest::get(sampled.url("/debug/pprof/heap?seconds=300"))));
    let mut waiting: Vec<_> = waiting.collect();
    let refused = async || waiting.iter().position(JoinHandle::is_finished);
    let refused = eventually("there is no room for a fifth", refused).await;
    assert_eq!(waiting.swap_remove(refused).await.unwrap().unwrap().status(), 409);
    assert!(waiting.iter().all(|request| !request.is_finished()));
    for request in waiting {
        request.abort();
    }
    let status = async || sampled.get("/debug/pprof/heap?seconds=1").await.status();
    eventually("there is room again", async || (status().await == 200).then_some(())).await;
    sampled.off().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_get_a_profile_in_turn_or_are_told_to_wait() {
    let sampled = Sampled::start().await;
    sampled.on().await;
    // One network may have 32 requests at once; those beyond it are tests/profiles/abuse.rs's.
    let asked = (0..30).map(|_| spawn("client", reqwest::get(sampled.url("/debug/pprof/heap"))));
    let asked: Vec<_> = asked.collect();
    assert_eq!(sampled.get("/debug/heap").await.status(), 200, "the port answers meanwhile");
    let mut statuses = Vec::new();
    for request in asked {
        statuses.push(request.await.unwrap().unwrap().status().as_u16());
    }
    assert_eq!(statuses[0], 200);
    assert!(statuses.iter().all(|status| matches!(status, 200 | 409)), "{statuses:?}");
    sampled.off().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_off_the_answer_says_how_to_switch_it_on() {
    let sampled = Sampled::start().await;
    for path in ["/debug/pprof/heap", "/debug/pprof/allocs?debug=1", "/debug/pprof/heap?seconds=1"] {
        let reply = sampled.get(path).await;
        assert_eq!((reply.status().as_u16(), reply.headers()["x-go-pprof"].to_str().unwrap()), (503, "1"), "{path}");
        let text = reply.text().await.unwrap();
        assert!(text.starts_with("heap sampling is off; switch it on: curl -X PUT 'http://"), "{text}");
    }
    assert_eq!(sampled.service.metric("glasshouse_heap_sampling").await, Some(0.0));

    let text = sampled.get("/debug/pprof/heap").await.text().await.unwrap();
    let (url, _) = text.split_once('\'').unwrap().1.split_once('\'').unwrap();
    let reply: Value = reqwest::Client::new().put(url).send().await.unwrap().json().await.unwrap();
    assert_eq!((&reply["sampling"], &reply["interval_bytes"]), (&Value::Bool(true), &Value::from(524_288)), "{reply}");
    assert!(reply["since"].is_string() && reply["until"].is_string(), "{reply}");
    assert!(reply["allocated_bytes"].as_u64().unwrap() <= reply["resident_bytes"].as_u64().unwrap(), "{reply}");
    assert_eq!(sampled.get("/debug/pprof/heap").await.status(), 200);
    assert_eq!(sampled.service.metric("glasshouse_heap_sampling").await, Some(1.0));
    sampled.off().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_for_a_while_ends_by_itself_and_for_good_stays() {
    let sampled = Sampled::start().await;
    let is_on = async || sampled.get("/debug/heap").await.json::<Value>().await.unwrap()["sampling"] == true;
    sampled.switch(Method::PUT, "?for=1s").await;
    assert!(is_on().await);
    eventually("it ends by itself", async || (!is_on().await).then_some(())).await;
    let told = async || {
        let lines = sampled.service.lines();
        let told =
            lines.iter().filter_map(|line| line["message"].as_str()).filter(|told| told.contains("heap sampling"));
        let told: Vec<_> = told.map(str::to_owned).collect();
        told.ends_with(&["heap sampling was switched on", "heap sampling fell back to off"].map(str::to_owned))
            .then_some(())
    };
    eventually("both are told once", told).await;

    sampled.switch(Method::PUT, "").await;
    assert_eq!(sampled.switch(Method::PUT, "?for=1s").await["until"], Value::Null, "it falls back to what was before");
    sampled.switch(Method::DELETE, "").await;
    sampled.switch(Method::DELETE, "").await;
    assert!(sampled.switch(Method::PUT, "?for=1h").await["until"].is_string());
    assert_eq!(sampled.switch(Method::PUT, "").await["until"], Value::Null);
    sampled.off().await;
}

#[tokio::test]
async fn only_who_means_it_switches() {
    let sampled = Sampled::start().await;
    let url = sampled.url("/debug/heap");
    let put = |query: &str| reqwest::Client::new().put(url.clone() + query);
    let foreign = put("").header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    for query in ["?for=ever", "?for=25h", "?for=0s", "?until=tomorrow"] {
        assert_eq!(put(query).send().await.unwrap().status(), 400, "{query}");
    }
    assert_eq!(sampled.get("/debug/heap?for=10m").await.json::<Value>().await.unwrap()["sampling"], false);
    let patched = reqwest::Client::new().patch(&url).send().await.unwrap();
    assert_eq!(
        (patched.status().as_u16(), &patched.headers()["allow"]),
        (405, &"GET,HEAD,PUT,DELETE".parse().unwrap())
    );
    assert_eq!(sampled.service.metric("glasshouse_heap_sampling").await, Some(0.0));
}

#[tokio::test]
async fn faulty_parameters_are_named() {
    let sampled = Sampled::start().await;
    sampled.on().await;
    for (query, name) in [
        ("seconds=0", "seconds"),
        ("seconds=301", "seconds"),
        ("seconds=-1", "seconds"),
        ("seconds=99999999999999999999", "seconds"),
        ("debug=3", "debug"),
        ("format=png", "format"),
        ("format=%ff%00", "format"),
    ] {
        let reply = sampled.get(&format!("/debug/pprof/heap?{query}")).await;
        assert_eq!(reply.status(), 400, "{query}");
        assert!(reply.text().await.unwrap().starts_with(&format!("{name} must be ")), "{query}");
    }
    sampled.off().await;
}

/// In a process of its own: other tests allocate in this one.
#[test]
fn profiles_in_a_row_do_not_grow_the_process() {
    let program = Program::start(&[("GLASSHOUSE_INTERNAL__HEAP_SAMPLING", "true")]);
    let allocated_after_one = |_| {
        assert_eq!(get(program.internal, "/debug/pprof/heap?debug=1").unwrap().0, 200);
        heap_of(&program)["allocated_bytes"].as_u64().unwrap()
    };
    let allocated: Vec<u64> = (0..40).map(allocated_after_one).collect();
    // The first ten fill the caches of threads, from which some MiB come and go later too, so the least of ten counts.
    // A profile that stayed in memory would be hundreds of KiB each time, and twenty lie between the two.
    let (before, after) = (allocated[10..20].iter().min().unwrap(), allocated[30..].iter().min().unwrap());
    assert!(*after < before + 4 * 1024 * 1024, "{allocated:?}");
}

fn heap_of(program: &Program) -> Value {
    serde_json::from_str(&get(program.internal, "/debug/heap").unwrap().1).unwrap()
}

#[test]
fn the_setting_has_it_on_from_the_start_and_no_folder_is_needed() {
    let program = Program::start(&[("TMPDIR", "/nowhere/to/write"), ("GLASSHOUSE_INTERNAL__HEAP_SAMPLING", "true")]);
    let (status, text) = get(program.internal, "/debug/pprof/heap?debug=1").unwrap();
    assert!(status == 200 && text.starts_with("memory in use: "), "{status} {text}");
    let heap = heap_of(&program);
    assert!(heap["since"].is_string() && heap["until"].is_null(), "{heap}");
}

#[test]
fn what_the_environment_says_of_the_allocator_counts_more_option_by_option() {
    let program = Program::start(&[("MALLOC_CONF", "prof:false")]);
    let put = "PUT /debug/heap HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    for answer in [get(program.internal, "/debug/pprof/heap"), exchange(program.internal, put)] {
        let (status, text) = answer.unwrap();
        assert!(status == 503 && text.contains("MALLOC_CONF in its environment says prof:false"), "{status} {text}");
    }
    let program = Program::start(&[("MALLOC_CONF", "lg_prof_sample:20,prof_active:true")]);
    let heap = heap_of(&program);
    assert_eq!((&heap["interval_bytes"], &heap["since"]), (&Value::from(1 << 20), &"the start of the process".into()));
    assert_eq!(get(program.internal, "/debug/pprof/allocs?debug=1").unwrap().0, 200);
}
