//! Threads are seen where they are, whatever they are in the middle of.

use std::{
    fs,
    hint::black_box,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{of, thread_name};
use crate::telemetry::symbols::Symbols;

const BUDGET: Duration = Duration::from_secs(5);

pub(super) fn own_tid() -> i32 {
    let link = fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// A thread that is somewhere, with its number.
pub(super) fn begin(name: &str, code: impl FnOnce() + Send + 'static) -> (i32, thread::JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        sender.send(own_tid()).unwrap();
        code();
    });
    (receiver.recv().unwrap(), thread.unwrap())
}

/// The names on a thread's stack, as soon as it has come to that function.
fn names(tid: i32, function: &str) -> Vec<String> {
    loop {
        let captured = of(&[tid], BUDGET).unwrap().remove(0);
        assert_eq!(captured.tid, tid);
        let stack = captured.stack.unwrap();
        assert!(!stack.cut);
        let symbols = Symbols::look_up(stack.addresses.iter().copied()).unwrap();
        let frames = symbols.stack(&stack.addresses).into_iter().flat_map(|location| location.frames.to_vec());
        let names: Vec<_> = frames.map(|frame| frame.name.to_string()).collect();
        if names.iter().any(|name| name.contains(function)) {
            return names;
        }
    }
}

fn position(names: &[String], wanted: &str) -> usize {
    names.iter().position(|name| name.contains(wanted)).unwrap_or_else(|| panic!("{wanted} is not in {names:#?}"))
}

#[inline(never)]
pub(super) fn goes_round_and_round(go_on: &AtomicBool) {
    while go_on.load(Relaxed) {
        black_box(1);
    }
}

#[inline(never)]
fn waits_for(lock: &Mutex<()>) {
    drop(black_box(lock.lock()));
}

#[inline(never)]
pub(super) fn fills(go_on: &AtomicBool) {
    while go_on.load(Relaxed) {
        black_box(&[black_box(7_u8); 1 << 13]);
    }
}

#[test]
fn a_thread_that_burns_is_seen_where_it_is() {
    let go_on = Arc::new(AtomicBool::new(true));
    let (tid, thread) = begin("burns", {
        let go_on = Arc::clone(&go_on);
        move || goes_round_and_round(&go_on)
    });
    assert_eq!(thread_name(tid), "burns");
    let names = names(tid, "goes_round_and_round");
    go_on.store(false, Relaxed);
    thread.join().unwrap();
    assert!(position(&names, "goes_round_and_round") <= 3, "{names:#?}");
    position(&names, "thread_start");
}

#[test]
fn a_thread_that_sleeps_in_the_system_is_seen_where_it_waits() {
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    let (tid, thread) = begin("waits", {
        let lock = Arc::clone(&lock);
        move || waits_for(&lock)
    });
    let names = names(tid, "waits_for");
    drop(held);
    thread.join().unwrap();
    position(&names, "thread_start");
}

#[test]
fn the_caller_of_a_function_without_a_frame_pointer_is_not_lost() {
    let go_on = Arc::new(AtomicBool::new(true));
    let (tid, thread) = begin("fills", {
        let go_on = Arc::clone(&go_on);
        move || fills(&go_on)
    });
    let all: Vec<Vec<String>> = (0..20).map(|_| names(tid, "fills")).collect();
    go_on.store(false, Relaxed);
    thread.join().unwrap();
    let inside: Vec<_> = all.iter().filter(|names| names[0].contains("memset")).collect();
    assert!(!inside.is_empty(), "{all:#?}");
    for names in inside {
        assert!(names[1].ends_with("::fills"), "{names:#?}");
        position(names, "thread_start");
    }
}

#[test]
fn a_thread_that_has_ended_has_no_stack_and_the_others_still_do() {
    let (gone, thread) = begin("gone", || {});
    thread.join().unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let (tid, thread) = begin("there", {
        let barrier = Arc::clone(&barrier);
        move || {
            barrier.wait();
        }
    });
    let captured = of(&[gone, tid], BUDGET).unwrap();
    barrier.wait();
    thread.join().unwrap();
    assert_eq!((captured[0].tid, &captured[0].stack), (gone, &None));
    assert!(captured[1].stack.is_some());
    assert_eq!(thread_name(gone), gone.to_string());
}

#[inline(never)]
fn goes_down(levels: u32, reached: &mpsc::Sender<()>, go_on: &AtomicBool) -> u8 {
    let frame = black_box([1_u8; 1024]);
    if levels > 0 {
        return black_box(goes_down(levels - 1, reached, go_on)) ^ black_box(frame)[0];
    }
    reached.send(()).unwrap();
    goes_round_and_round(go_on);
    frame[0]
}

#[test]
fn of_a_stack_that_is_too_large_the_innermost_part_is_seen() {
    let go_on = Arc::new(AtomicBool::new(true));
    let (sender, reached) = mpsc::channel();
    let (tid, thread) = begin("deep", {
        let go_on = Arc::clone(&go_on);
        move || {
            goes_down(400, &sender, &go_on);
        }
    });
    reached.recv().unwrap();
    let stack = of(&[tid], BUDGET).unwrap().remove(0).stack.unwrap();
    go_on.store(false, Relaxed);
    thread.join().unwrap();
    assert!(stack.cut && stack.addresses.len() > 30, "{stack:?}");
}

/// Has the calling thread take profiling signals, or not.
#[expect(unsafe_code, reason = "only the C library can")]
fn mask(how: libc::c_int) {
    // SAFETY: an empty set is a valid one, and it lives during the calls.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGPROF);
        assert_eq!(libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()), 0);
    }
}

#[test]
fn a_thread_that_takes_no_signals_is_not_waited_for_longer_than_the_budget() {
    let (open, opened) = mpsc::channel::<()>();
    let (closed, is_closed) = mpsc::channel();
    let (tid, thread) = begin("deaf", move || {
        mask(libc::SIG_BLOCK);
        closed.send(()).unwrap();
        opened.recv().unwrap();
        mask(libc::SIG_UNBLOCK);
        closed.send(()).unwrap();
        opened.recv().unwrap();
    });
    is_closed.recv().unwrap();
    let began = Instant::now();
    let budget = Duration::from_millis(30);
    assert_eq!(of(&[tid], budget).unwrap()[0].stack, None);
    assert!(began.elapsed() >= budget && began.elapsed() < BUDGET);
    // The signal arrives now, when nobody asks for it any more; whoever asks again is answered.
    open.send(()).unwrap();
    is_closed.recv().unwrap();
    assert!(of(&[tid], BUDGET).unwrap()[0].stack.is_some());
    open.send(()).unwrap();
    thread.join().unwrap();
}
