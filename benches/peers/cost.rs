//! CPU time for each request and memory, in short slices that take turns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::runtime::Runtime;

use super::{
    load::closed,
    report::{Report, Spread},
    requests::{Requests, TokenSigner},
    server::{Environment, Program, Server},
};

/// Connections that ask again at once.
const CONNECTIONS: usize = 16;
/// More requests than a program can answer in a second.
const FRESH_TOKENS_PER_SECOND: usize = 20_000;
/// The time in which the last spans of a slice are exported.
const EXPORT_TIME: Duration = Duration::from_millis(1200);

/// A program with its telemetry, and what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode {
    program: Program,
    /// Whether it exports all traces.
    traced: bool,
    /// Whether each request has a token that the program has not seen before.
    fresh: bool,
}

/// One mode at work.
struct Candidate {
    mode: Mode,
    server: Server,
    at_rest_mib: f64,
    slices: Vec<Slice>,
}

#[derive(Debug, Clone, Copy)]
struct Slice {
    cpu_micros: f64,
    rate: f64,
    resident_mib: f64,
    spans: f64,
}

impl Mode {
    const fn new(program: Program, traced: bool, fresh: bool) -> Self {
        Self { program, traced, fresh }
    }

    fn label(self) -> &'static str {
        match self {
            Self { program: Program::Bare | Program::Unpinged, .. } => "no telemetry",
            Self { fresh: true, .. } => "metrics + logs, each token new",
            Self { traced: true, .. } => "metrics + logs + all traces",
            _ => "metrics + logs",
        }
    }
}

fn modes() -> Vec<Mode> {
    let mut modes = [Program::Bare, Program::Unpinged].map(|program| Mode::new(program, false, false)).to_vec();
    for program in [Program::Ours, Program::Baseline] {
        modes.extend(
            [(false, false), (false, true), (true, false)].map(|(traced, fresh)| Mode::new(program, traced, fresh)),
        );
    }
    for program in [Program::Plain, Program::Go] {
        modes.extend([false, true].map(|traced| Mode::new(program, traced, false)));
    }
    modes.retain(|mode| mode.program.is_wanted());
    modes
}

/// Measures all modes in so many rounds.
pub(crate) fn measure(
    runtime: &Runtime,
    environment: &Environment,
    signer: &TokenSigner,
    (collector, spans): (&str, &Arc<AtomicU64>),
    rounds: usize,
    time: Duration,
) -> String {
    let same_token = signer.same_token();
    let slice = |candidate: &Candidate, time: Duration| {
        let fresh = candidate
            .mode
            .fresh
            .then(|| signer.fresh_tokens(FRESH_TOKENS_PER_SECOND * usize::try_from(time.as_secs() + 1).unwrap_or(1)));
        runtime.block_on(slice(candidate, fresh.as_ref().unwrap_or(&same_token), spans, time))
    };
    let mut candidates: Vec<Candidate> = modes()
        .into_iter()
        .map(|mode| {
            let server = Server::start(mode.program, environment, mode.traced.then_some(collector));
            Candidate { mode, server, at_rest_mib: 0.0, slices: Vec::new() }
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    for candidate in &mut candidates {
        candidate.at_rest_mib = candidate.server.resident_mib();
        slice(candidate, Duration::from_secs(1));
    }
    for round in 0..rounds {
        for turn in 0..candidates.len() {
            // Each round begins with another candidate, so that none always comes after the same one.
            let at = (round + turn) % candidates.len();
            let measured = slice(&candidates[at], time);
            candidates[at].slices.push(measured);
        }
    }
    report(&candidates)
}

async fn slice(
    Candidate { mode, server, .. }: &Candidate,
    requests: &Requests,
    spans: &AtomicU64,
    time: Duration,
) -> Slice {
    let (cpu, spans_before) = (server.cpu_seconds(), spans.load(Relaxed));
    let answers = closed(server.address, CONNECTIONS, requests, Duration::ZERO, time).await;
    let resident_mib = server.resident_mib();
    // What is exported later belongs to these requests, too.
    tokio::time::sleep(if mode.traced { EXPORT_TIME } else { Duration::from_millis(200) }).await;
    let (cpu, spans) = (server.cpu_seconds() - cpu, spans.load(Relaxed) - spans_before);
    assert!(answers.failed == 0, "{mode:?}: {} requests failed", answers.failed);
    let served = answers.served.len() as f64;
    Slice {
        cpu_micros: cpu * 1e6 / served,
        rate: served / time.as_secs_f64(),
        resident_mib,
        spans: spans as f64 / served,
    }
}

fn report(candidates: &[Candidate]) -> String {
    let mut report = Report::new(&[
        "program",
        "signals",
        "CPU µs a request",
        "requests/s",
        "MiB at rest",
        "MiB under load",
        "spans a request",
    ]);
    for Candidate { mode, at_rest_mib, slices, .. } in candidates {
        let column = |of: fn(&Slice) -> f64| Spread::of(slices.iter().map(of));
        report.row(&[
            mode.program.name().to_owned(),
            mode.label().to_owned(),
            column(|slice| slice.cpu_micros).text(1),
            format!("{:.0}", column(|slice| slice.rate).median),
            format!("{at_rest_mib:.0}"),
            column(|slice| slice.resident_mib).text(0),
            format!("{:.2}", column(|slice| slice.spans).median),
        ]);
    }
    format!("{}\n{}", report.text(), ratios(candidates))
}

/// The ratios that are to be reached, each taken within a round.
fn ratios(candidates: &[Candidate]) -> String {
    let bare = Mode::new(Program::Bare, false, false);
    let ours = Mode::new(Program::Ours, false, false);
    let ours_traced = Mode::new(Program::Ours, true, false);
    let rows = [
        ("metrics + logs / bare", "≤ 0.55", ours, bare),
        ("metrics + logs / bare, no pings", "", ours, Mode::new(Program::Unpinged, false, false)),
        ("metrics + logs, each token new / bare", "≤ 1.10", Mode::new(Program::Ours, false, true), bare),
        ("all traces / metrics + logs", "≤ 1.35", ours_traced, ours),
        ("Go / ours, metrics + logs", "≥ 3.0", Mode::new(Program::Go, false, false), ours),
        ("Go / ours, all traces", "≥ 2.5", Mode::new(Program::Go, true, false), ours_traced),
        ("plain / ours, metrics + logs", "≥ 2.0", Mode::new(Program::Plain, false, false), ours),
        ("plain / ours, all traces", "≥ 2.2", Mode::new(Program::Plain, true, false), ours_traced),
        ("ours / BASELINE, metrics + logs", "", ours, Mode::new(Program::Baseline, false, false)),
        ("ours / BASELINE, all traces", "", ours_traced, Mode::new(Program::Baseline, true, false)),
    ];
    let find = |mode: Mode| candidates.iter().find(|candidate| candidate.mode == mode);
    let mut report = Report::new(&["CPU per request", "goal", "median (lowest to highest)"]);
    for (name, goal, above, below) in rows {
        if let (Some(above), Some(below)) = (find(above), find(below)) {
            let pairs = above.slices.iter().zip(&below.slices);
            let ratio = Spread::of(pairs.map(|(above, below)| above.cpu_micros / below.cpu_micros));
            report.row(&[name.to_owned(), goal.to_owned(), ratio.text(2)]);
        }
    }
    report.text()
}
