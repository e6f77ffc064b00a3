//! Every path of the internal port.

use super::Signal;

/// In the order in which a person looks.
pub const PATHS: &[Signal] = &[
    Signal { name: "/", meaning: "This index; JSON for programs that ask for it" },
    Signal { name: "/metrics", meaning: "Every metric, as Prometheus text or as OpenMetrics with exemplars" },
    Signal { name: "/health/live", meaning: "Whether the process makes progress" },
    Signal { name: "/health/ready", meaning: "Whether to send traffic; ?verbose says part by part" },
    Signal { name: "/debug/build", meaning: "Version, revision, compiler" },
    Signal { name: "/debug/config", meaning: "The settings in force, secrets redacted" },
    Signal { name: "/debug/stalls", meaning: "What the runtime was stuck in, the last few times: task, code, stack" },
    Signal { name: "/debug/log", meaning: "The log filter; PUT another one, with ?for=10m for a while" },
    Signal {
        name: "/debug/pprof/goroutine",
        meaning: "What each task waits for; ?debug=1 as text, ?debug=2 one by one",
    },
    Signal { name: "/debug/pprof/trace", meaning: "What the workers do for ?seconds=1, for ui.perfetto.dev" },
];
