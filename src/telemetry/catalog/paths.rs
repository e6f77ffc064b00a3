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
    Signal { name: "/debug/flamegraph", meaning: "The page with a flamegraph: ?of=cpu, heap or tasks" },
    Signal { name: "/debug/live", meaning: "The page's numbers of the last five minutes; ?since=N only what is newer" },
    Signal { name: "/debug/log", meaning: "The log filter; PUT another one, with ?for=10m for a while" },
];
