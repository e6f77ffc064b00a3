//! Go's own tool reads each profile of a service that is at work.

use tempfile::TempDir;

use crate::{
    cpu::alone,
    decoded::Decoded,
    go,
    guilty::{Guilty, burns},
    heap::Sampled,
};

/// Each path with what Go's tool calls it.
const PROFILES: [(&str, &str); 9] = [
    ("profile?seconds=1", "cpu"),
    ("heap", "inuse_space"),
    ("heap?seconds=1", "inuse_space"),
    ("allocs", "alloc_space"),
    ("allocs?seconds=1", "alloc_space"),
    ("goroutine", "goroutine"),
    ("block", "delay"),
    ("mutex", "delay"),
    ("threadcreate", "threadcreate"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gos_tool_reads_every_profile_of_a_service_at_work() {
    let _alone = alone().await;
    let sampled = Sampled::start().await;
    sampled.on().await;
    let _guilty = Guilty::on(&sampled.service.main, burns);
    let held: Vec<Vec<u8>> = (0..64).map(|_| Vec::with_capacity(1 << 19)).collect();
    let folder = TempDir::new().unwrap();
    for (path, kind) in PROFILES {
        let url = sampled.url(&format!("/debug/pprof/{path}"));
        // What the tool writes is what it has understood, so it is fetched only once.
        let file = folder.path().join("profile");
        let output = format!("-output={}", file.display());
        go::pprof(&["-proto", &output], &url).await;
        let understood = Decoded::of(&std::fs::read(&file).unwrap());
        let file = file.to_str().unwrap();
        let top = go::pprof(&["-top"], file).await;
        assert!(top.contains(&format!("Type: {kind}\n")), "{path}: {top}");
        assert_eq!(understood.stacks_by_address(), understood.samples.len(), "{path}: stacks with the same addresses");
        let is_empty = matches!(path, "block" | "mutex") || path.contains("s?") || path.starts_with("heap?");
        assert!(is_empty || !understood.samples.is_empty(), "{path} has no samples");
        for sample in &understood.samples {
            assert!(sample.addresses.iter().all(|address| *address > 0), "{path}: {sample:?}");
        }
        for options in [["-traces"], ["-tree"], ["-raw"]] {
            go::pprof(&options, file).await;
        }
    }
    drop(held);
    sampled.off().await;
}
