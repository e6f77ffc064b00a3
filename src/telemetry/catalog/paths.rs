//! Every path of the internal port, but for what its page loads, which is below `/page/`.

use super::Signal;

/// In the order in which a person looks.
pub const PATHS: &[Signal] = &[
    Signal { name: "/", meaning: "The page; for programs that ask for JSON, this list" },
    Signal { name: "/metrics", meaning: "Every metric, as Prometheus text or as OpenMetrics with exemplars" },
    Signal { name: "/health/live", meaning: "Whether the process makes progress" },
    Signal { name: "/health/ready", meaning: "Whether to send traffic; ?verbose says part by part" },
    Signal { name: "/debug/build", meaning: "Version, revision, compiler" },
    Signal { name: "/debug/config", meaning: "The settings in force, secrets redacted" },
    Signal { name: "/debug/stalls", meaning: "What the runtime was stuck in, the last few times: task, code, stack" },
    Signal { name: "/debug/flamegraph", meaning: "The page with a flamegraph: ?of=cpu, heap or tasks" },
    Signal { name: "/debug/live", meaning: "The page's numbers of the last five minutes; ?since=N only what is newer" },
    Signal { name: "/debug/log", meaning: "The log filter; PUT another one, with ?for=10m for a while" },
    Signal {
        name: "/debug/heap",
        meaning: "Whether the heap is sampled; PUT with ?for=10m for a while, DELETE ends it",
    },
    Signal { name: "/debug/pprof/", meaning: "Every profile, in the order and to the contract of Go's" },
    Signal {
        name: "/debug/pprof/heap",
        meaning: "What holds the memory, while the heap is sampled: ?format=svg, ?seconds=30",
    },
    Signal {
        name: "/debug/pprof/allocs",
        meaning: "What asked for memory, while the heap is sampled: the same parameters",
    },
    Signal { name: "/debug/pprof/block", meaning: "Empty, since nobody counts it here: see the remark in it" },
    Signal { name: "/debug/pprof/mutex", meaning: "Empty, since nobody counts it here: see the remark in it" },
    Signal { name: "/debug/pprof/threadcreate", meaning: "How many threads there are, by name" },
    Signal { name: "/debug/pprof/cmdline", meaning: "How this process was called, with zeros between the words" },
    Signal {
        name: "/debug/pprof/symbol",
        meaning: "The functions at addresses: ?0x1234+0x5678, or as the body of a POST",
    },
    Signal { name: "/debug/trace", meaning: "Live requests as events; ?route=, user=, request= and for=30s" },
    Signal { name: "/debug/pprof/profile", meaning: "CPU profile of 30 s, or of ?seconds=; format=pprof, svg or text" },
];
