//! Every path of the internal port.

use super::Signal;

const fn path(name: &'static str, meaning: &'static str) -> Signal {
    Signal { name, meaning }
}

/// In the order in which a person looks.
pub const PATHS: &[Signal] = &[
    path("/", "The page: how it is, what it does now, a button for each tool; JSON for programs that ask for it"),
    path("/metrics", "Every metric, as Prometheus text or as OpenMetrics with exemplars"),
    path("/health/live", "Whether the process makes progress"),
    path("/health/ready", "Whether to send traffic; ?verbose says part by part"),
    // What it is doing.
    path("/debug/live", "The page's numbers of the last five minutes; ?since=N only what is newer"),
    path("/debug/stalls", "What the runtime was stuck in, the last few times: task, code, stack"),
    path("/debug/trace", "Live requests as events; ?route=, user=, request= and for=30s; force=true"),
    path("/debug/flamegraph", "The page with a flamegraph: ?of=cpu, heap or tasks"),
    path("/debug/pprof/", "Every profile, in the order and to the contract of Go's"),
    path("/debug/pprof/profile", "What burns the CPU: 30 s of it, or ?seconds=5; ?format=pprof, svg or text"),
    path("/debug/pprof/goroutine", "What each task waits for; ?debug=1 as text, ?debug=2 one by one"),
    path(
        "/debug/pprof/heap",
        "What holds the memory, while the heap is sampled; ?format=svg, ?seconds=30 for what changes",
    ),
    path("/debug/pprof/allocs", "What asked for memory, while the heap is sampled: the same parameters"),
    path("/debug/pprof/trace", "What the workers do for ?seconds=1, for ui.perfetto.dev"),
    path("/debug/pprof/threadcreate", "How many threads there are, by name"),
    path("/debug/pprof/block", "Empty, since nobody counts it here: see the remark in it"),
    path("/debug/pprof/mutex", "Empty, since nobody counts it here: see the remark in it"),
    path("/debug/pprof/cmdline", "How this process was called, with zeros between the words"),
    path("/debug/pprof/symbol", "The functions at addresses: ?0x1234+0x5678, or as the body of a POST"),
    // What it is, and what can be switched.
    path("/debug/heap", "Whether the heap is sampled; PUT with ?for=10m for a while, DELETE ends it"),
    path(
        "/debug/log",
        "The log filter; PUT another one for 30 minutes, or ?for=10m; DELETE restores the configured one",
    ),
    path(
        "/debug/faults",
        "Which faults are injected; PUT a list with ?for=10m where the settings allow it, DELETE ends them",
    ),
    path("/debug/config", "The settings in force, secrets redacted"),
    path("/debug/build", "Version, revision, compiler"),
];
