//! Whatever is sent, parsed or signed: no panic, no 500, and what is accepted is what it says.
//!
//! As a test it replays the corpus and then a fixed number of mutations of it. Built by `scripts/fuzz` it also sees
//! which code an input reaches, keeps what reaches more, and goes on for as long as it is told.
#![expect(clippy::unwrap_used, reason = "a target that panics has found something, and says where")]
#![expect(clippy::print_stdout, reason = "it is a program: what it found is what it says")]

mod coverage;
mod mutation;
mod targets;

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use coverage::Seen;
use mutation::{Dice, mutated};
use targets::Target;

/// How many mutations of each corpus an ordinary test run tries.
const TRIES: usize = 300;
/// The most inputs that are kept of one target: what is committed stays small.
const MOST_KEPT: usize = 60;

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.name)
}

/// The corpus in the order of its names.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn file_name(input: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Tries one input. What it breaks is kept in the corpus, where it is tried from then on.
fn attempt(target: &Target, run: &dyn Fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        let file = folder(target).join(format!("broke-{}", file_name(input)));
        fs::write(&file, input).unwrap();
        println!("{}: {} breaks it: {}", target.name, file.display(), input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn main() {
    let mut arguments = env::args().skip_while(|argument| argument != "--seconds").skip(1);
    let seconds: Option<u64> = arguments.next().map(|seconds| seconds.parse().unwrap());
    let rest: Vec<String> = arguments.collect();
    let keep = rest.iter().any(|argument| argument == "--keep");
    assert!(seconds.is_none() || coverage::edges() > 0, "nothing is instrumented: scripts/fuzz builds it so");
    let mut targets = targets::all();
    if let Some(only) = rest.iter().skip_while(|argument| *argument != "--only").nth(1) {
        targets.retain(|target| target.name == only);
        assert!(!targets.is_empty(), "{only} is no target");
    }
    let share = seconds.map(|seconds| Duration::from_secs(seconds) / u32::try_from(targets.len()).unwrap());
    for target in &targets {
        let (mut kept, mut seen) = (corpus(target), Seen::none());
        assert!(!kept.is_empty(), "{} has no corpus", target.name);
        // Only now: the whole service runs beside whatever comes after it.
        let run = (target.open)();
        for input in &kept {
            Seen::begin();
            attempt(target, &*run, input);
            seen.add();
        }
        let (replayed, before) = (kept.len(), seen.taken());
        let mut dice = Dice::new(20_261_121);
        let (began, mut tried) = (Instant::now(), 0);
        while share.map_or(tried < TRIES, |share| began.elapsed() < share) {
            let input = mutated(&kept, &mut dice);
            Seen::begin();
            attempt(target, &*run, &input);
            tried += 1;
            if seen.add() {
                if keep && kept.len() < MOST_KEPT && input.len() < 600 {
                    fs::write(folder(target).join(file_name(&input)), &input).unwrap();
                }
                kept.push(input);
            }
        }
        let (edges, taken) = (coverage::edges(), seen.taken());
        println!(
            "fuzz {}: {replayed} replayed, {tried} tried, edges {before} and then {taken} of {edges}",
            target.name
        );
    }
}
