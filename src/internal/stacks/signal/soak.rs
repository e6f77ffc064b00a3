//! The timer and those who ask get along, with each other and with everything that threads do.

use std::{
    collections::HashSet,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Sampler, of,
    tests::{begin, fills, goes_round_and_round},
};

/// How long; `SOAK_SECONDS` in the environment of the build says otherwise.
fn length() -> Duration {
    Duration::from_secs(option_env!("SOAK_SECONDS").and_then(|text| text.parse().ok()).unwrap_or(3))
}

type Work = fn(&AtomicBool);

fn while_it_goes_on(go_on: &AtomicBool, work: impl Fn()) {
    while go_on.load(Relaxed) {
        work();
    }
}

/// Under the allocator's lock half of the time.
fn allocates() {
    black_box((0..100_usize).map(|size| vec![1_u8; size * 61]).collect::<Vec<_>>());
}

/// Under the dynamic linker's lock, and in the unwinder of the C compiler.
fn looks_at_itself() {
    black_box(backtrace::Backtrace::new_unresolved());
}

/// A thread at its very beginning, and at its end.
fn is_born_and_dies() {
    thread::spawn(looks_at_itself).join().unwrap();
}

#[test]
fn the_timer_and_those_who_ask_do_no_harm() {
    let end = Instant::now() + length();
    let go_on = Arc::new(AtomicBool::new(true));
    let work: [(&str, Work); 5] = [
        ("burns", goes_round_and_round),
        ("fills", fills),
        ("allocates", |go_on| while_it_goes_on(go_on, allocates)),
        ("looks", |go_on| while_it_goes_on(go_on, looks_at_itself)),
        ("is-born", |go_on| while_it_goes_on(go_on, is_born_and_dies)),
    ];
    let threads: Vec<_> = work
        .into_iter()
        .map(|(name, code)| {
            let go_on = Arc::clone(&go_on);
            begin(name, move || code(&go_on))
        })
        .collect();
    let tids: Vec<i32> = threads.iter().map(|(tid, _)| *tid).collect();

    let asking = thread::spawn({
        let tids = tids.clone();
        move || {
            let mut answered = 0;
            while Instant::now() < end {
                let captured = of(&tids, Duration::from_secs(5)).unwrap();
                answered += captured.iter().filter(|captured| captured.stack.is_some()).count();
            }
            answered
        }
    });
    let mut seen = HashSet::new();
    for frequency in [1, 100, 1000, 99].into_iter().cycle().take_while(|_| Instant::now() < end) {
        let mut sampler = Sampler::start(frequency).unwrap();
        assert!(Sampler::start(frequency).is_err(), "there is one timer");
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(20));
            sampler.drain(|thread, stack, _| {
                assert!(!stack.addresses.is_empty());
                seen.insert(thread.to_owned());
            });
        }
    }
    let answered = asking.join().unwrap();
    go_on.store(false, Relaxed);
    for (_, thread) in threads {
        thread.join().unwrap();
    }
    assert!(answered > tids.len(), "{answered}");
    assert!(["burns", "fills", "allocates"].iter().all(|name| seen.contains(*name)), "{seen:?}");
}
