//! What is compared: each table with its first line.

/// A way of being seen or looked at.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// Whether spans go to a collector.
    pub(crate) traced: bool,
    /// What somebody asks of the internal port, and reads, for as long as the slice lasts.
    pub(crate) looked_at: Option<&'static str>,
}

const fn seen(name: &'static str, settings: &'static [(&'static str, &'static str)], traced: bool) -> Mode {
    Mode { name, settings, traced, looked_at: None }
}

const fn looked_at(name: &'static str, path: &'static str) -> Mode {
    Mode { name, settings: &[], traced: false, looked_at: Some(path) }
}

/// What telemetry costs.
pub(crate) const TELEMETRY: &[Mode] = &[
    seen("off", &[("OTEL_SDK_DISABLED", "true"), ("GLASSHOUSE_LOG__FILTER", "off")], false),
    seen("metrics", &[("GLASSHOUSE_LOG__FILTER", "off")], false),
    seen("metrics and logs", &[], false),
    seen(
        "and 10 % of traces",
        &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")],
        true,
    ),
    seen("and all traces", &[("OTEL_TRACES_SAMPLER", "parentbased_always_on")], true),
    // Port 1: nobody listens there.
    seen("all, collector away", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")], false),
];

/// What the tools of the internal port cost while somebody uses them.
pub(crate) const TOOLS: &[Mode] = &[
    seen("nobody looks", &[], false),
    // What it is without heap profiles compiled in.
    seen("no heap profiler", &[("MALLOC_CONF", "prof:false")], false),
    seen("heap sampled", &[("GLASSHOUSE_INTERNAL__HEAP_SAMPLING", "true")], false),
    seen("tokio-console on", &[("GLASSHOUSE_INTERNAL__CONSOLE", "true")], false),
    // Longer than any slice: what looking up names costs comes afterwards, once.
    looked_at("CPU profile at 99 Hz", "/debug/pprof/profile?seconds=300"),
    looked_at("timeline recorded", "/debug/pprof/trace?seconds=10"),
    looked_at("requests followed", "/debug/trace?for=10m"),
];
