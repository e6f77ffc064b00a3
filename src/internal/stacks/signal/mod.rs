//! Stacks by SIGPROF, on Linux.
//!
//! Two may want them at the same time, and do not disturb each other: a timer, for whatever burns the CPU, and
//! whoever asks certain threads. The handler is installed once and stays: a signal that is late never meets the default
//! action, which is to end the process.

mod asked;
mod interrupt;
mod modules;
mod slot;
mod timer;
mod unwind;

use std::fs;

pub(in crate::internal) use asked::of;
pub(in crate::internal) use timer::Sampler;

/// The name of a thread of this process, at most 15 octets; its number where it has ended.
pub(in crate::internal) fn thread_name(tid: i32) -> String {
    let name = fs::read(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
    if name.is_empty() { tid.to_string() } else { name }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        hint::black_box,
        sync::{
            Arc, Barrier, Mutex,
            atomic::{AtomicBool, Ordering::Relaxed},
            mpsc,
        },
        thread,
        time::Duration,
    };

    use super::{super::super::profile::Symbols, of, thread_name};

    const BUDGET: Duration = Duration::from_secs(5);

    fn own_tid() -> i32 {
        let link = fs::read_link("/proc/thread-self").unwrap();
        link.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// A thread that is somewhere, with its number.
    fn begin(name: &str, code: impl FnOnce() + Send + 'static) -> (i32, thread::JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            sender.send(own_tid()).unwrap();
            code();
        });
        (receiver.recv().unwrap(), thread.unwrap())
    }

    fn names(symbols: &mut Symbols, tid: i32) -> Vec<String> {
        let captured = of(&[tid], BUDGET).unwrap().remove(0);
        assert_eq!(captured.tid, tid);
        let stack = captured.stack.unwrap();
        assert!(!stack.cut);
        symbols.stack(&stack.addresses).iter().map(|frame| frame.name.clone()).collect()
    }

    fn position(names: &[String], wanted: &str) -> usize {
        names.iter().position(|name| name.contains(wanted)).unwrap_or_else(|| panic!("{wanted} is not in {names:#?}"))
    }

    #[inline(never)]
    fn goes_round_and_round(go_on: &AtomicBool) {
        while go_on.load(Relaxed) {
            black_box(1);
        }
    }

    #[inline(never)]
    fn waits_for(lock: &Mutex<()>) {
        drop(black_box(lock.lock()));
    }

    #[inline(never)]
    fn fills(memory: &mut [u8], go_on: &AtomicBool) {
        while go_on.load(Relaxed) {
            black_box(&mut *memory).fill(black_box(7));
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
        let names = names(&mut Symbols::new(), tid);
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
        let mut symbols = Symbols::new();
        let names = loop {
            let names = names(&mut symbols, tid);
            // Until it has come there.
            if names.iter().any(|name| name.contains("waits_for")) {
                break names;
            }
        };
        drop(held);
        thread.join().unwrap();
        position(&names, "thread_start");
    }

    #[test]
    fn the_caller_of_a_function_without_a_frame_pointer_is_not_lost() {
        let go_on = Arc::new(AtomicBool::new(true));
        let (tid, thread) = begin("fills", {
            let go_on = Arc::clone(&go_on);
            move || fills(&mut vec![0; 1 << 20], &go_on)
        });
        let mut symbols = Symbols::new();
        let all: Vec<Vec<String>> = (0..20).map(|_| names(&mut symbols, tid)).collect();
        go_on.store(false, Relaxed);
        thread.join().unwrap();
        let inside: Vec<_> = all.iter().filter(|names| names[0].contains("memset")).collect();
        assert!(!inside.is_empty(), "{all:#?}");
        for names in inside {
            let caller = position(names, "::fills");
            assert!(caller < position(names, "thread_start"));
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
}
