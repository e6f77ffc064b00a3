//! A question always comes to its task, however it meets the task's first poll, and is answered once.

use loom::{
    model,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    thread,
};

mod sync {
    pub(super) use std::sync::PoisonError;

    pub(super) use loom::sync::{Mutex, atomic};

    /// The standard library's, of which loom has none: as its documentation has it, for the one thread that sets it.
    #[derive(Debug)]
    pub(super) struct OnceLock<T> {
        is_set: atomic::AtomicBool,
        value: loom::cell::UnsafeCell<Option<T>>,
    }

    // SAFETY: the value is written before it is said to be there, and never again.
    unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

    impl<T> OnceLock<T> {
        pub(super) fn new() -> Self {
            Self { is_set: atomic::AtomicBool::new(false), value: loom::cell::UnsafeCell::new(None) }
        }

        pub(super) fn get(&self) -> Option<&T> {
            let is_set = self.is_set.load(atomic::Ordering::Acquire);
            // SAFETY: it is not written any more.
            is_set.then(|| self.value.with(|value| unsafe { (*value).as_ref() })).flatten()
        }

        pub(super) fn get_or_init(&self, make: impl FnOnce() -> T) {
            // SAFETY: only one thread sets it, and nobody reads before it is said to be there.
            self.value.with_mut(|value| unsafe { *value = Some(make()) });
            self.is_set.store(true, atomic::Ordering::Release);
        }
    }
}

#[path = "../../src/telemetry/tasks/asking.rs"]
mod shipped;

use shipped::Asking;

/// A task's waker: whether it is to be polled again.
type Woken = Arc<AtomicBool>;

/// One poll, as every task is polled; what it answers.
fn poll(task: &Asking<Woken, u32>, woken: &Woken) -> Option<u32> {
    task.begin(|| Arc::clone(woken));
    assert!(task.waker().is_some());
    task.take()
}

/// Polls as often as it is woken, and once at first.
fn run(task: &Asking<Woken, u32>, woken: &Woken) -> Vec<u32> {
    let mut answers: Vec<u32> = poll(task, woken).into_iter().collect();
    while woken.swap(false, AcqRel) {
        answers.extend(poll(task, woken));
    }
    answers
}

fn ask(task: &Asking<Woken, u32>, question: u32) {
    task.ask(question, |woken| {
        woken.swap(true, AcqRel);
    });
}

#[test]
fn asking_and_the_first_poll_never_miss_each_other() {
    model(|| {
        let (task, woken) = (Arc::new(Asking::new()), Woken::default());
        let polling = {
            let (task, woken) = (Arc::clone(&task), Arc::clone(&woken));
            thread::spawn(move || run(&task, &woken))
        };
        ask(&task, 1);
        let mut answers = polling.join().unwrap();
        // A wake that came after the last look brings another poll.
        while woken.swap(false, AcqRel) {
            answers.extend(poll(&task, &woken));
        }
        assert_eq!(answers, [1], "it is asked, and nobody comes to it");
    });
}

#[test]
fn the_newest_question_is_answered_and_none_twice() {
    model(|| {
        let (task, woken) = (Arc::new(Asking::new()), Woken::default());
        let asking = {
            let task = Arc::clone(&task);
            thread::spawn(move || {
                ask(&task, 1);
                ask(&task, 2);
            })
        };
        let mut answers = run(&task, &woken);
        asking.join().unwrap();
        while woken.swap(false, AcqRel) {
            answers.extend(poll(&task, &woken));
        }
        assert!(answers == [1, 2] || answers == [2], "{answers:?}");
    });
}
